#include "ops/reshape.h"

#include <algorithm>

#include "core/text.h"

namespace mpscnn::ops {

void Reshape::check(const InputShapes &inputs) const {
    if (shape.empty() || shape.size() >= Shape::max_rank)
        refuse_parameter(info, "shape", concat({"1 to ", Shape::max_rank - 1, " extents"}), list_text(shape));
    const auto valid = [](std::int64_t extent) { return extent >= -1 && extent <= (1LL << 40); };
    if (!std::all_of(shape.begin(), shape.end(), valid) || std::count(shape.begin(), shape.end(), -1) > 1)
        refuse_parameter(info, "shape", "extents of at least 1, or 0 for the input's, at most one of them -1",
                         list_text(shape));
    for (std::size_t place = static_cast<std::size_t>(inputs[0].rank()) - 1; place < shape.size(); ++place)
        if (shape[place] == 0)
            refuse_parameter(info, "shape", concat({"other than 0 where ", inputs[0].text(), " has no axis"}),
                             list_text(shape));
    output_shape(inputs);
}

Shape Reshape::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    std::vector<std::int64_t> extents{input[0]};
    for (const std::int64_t extent : shape)
        extents.push_back(extent == 0 ? input[static_cast<int>(extents.size())] : extent);
    Shape result{std::span<const std::int64_t>(extents)};
    if (!input.with_batch(1).fixed()) return result; // a free extent leaves the -1 free as well
    const std::int64_t given = input.with_batch(1).elements();
    std::int64_t wanted = 1;
    for (auto extent = extents.begin() + 1; extent != extents.end(); ++extent) {
        if (*extent == -1) continue;
        if (wanted > given / *extent) wanted = given + 1; // more than there are: refused below
        if (wanted > given) break;
        wanted *= *extent;
    }
    const auto open = std::find(shape.begin(), shape.end(), -1);
    const bool fits = open == shape.end() ? wanted == given : wanted <= given && given % wanted == 0;
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": ", input.text(), " has ", given,
                                " elements per image, which do not fit shape ", list_text(shape)});
    if (open != shape.end()) result[static_cast<int>(open - shape.begin()) + 1] = given / wanted;
    return result;
}

} // namespace mpscnn::ops
