#include "ops/constant.h"

#include <algorithm>

#include "core/text.h"

namespace mpscnn::ops {

void Constant::check(const InputShapes &) const {
    const auto valid = [](std::int64_t extent) { return extent >= 1 && extent <= largest_size; };
    if (shape.empty() || shape.size() >= Shape::max_rank || !std::all_of(shape.begin(), shape.end(), valid))
        refuse_parameter(
            info, "shape",
            concat({"1 to ", Shape::max_rank - 1, " extents of 1 to ", largest_size, " without the batch"}),
            list_text(shape));
}

Shape Constant::output_shape(const InputShapes &inputs) const {
    std::vector<std::int64_t> extents{inputs[0][0]};
    extents.insert(extents.end(), shape.begin(), shape.end());
    return Shape(std::span<const std::int64_t>(extents));
}

} // namespace mpscnn::ops
