#include "ops/transpose.h"

#include <algorithm>

#include "core/text.h"

namespace mpscnn::ops {

void Transpose::check(const InputShapes &inputs) const {
    const int rank = inputs[0].rank();
    std::vector<std::int64_t> sorted = axes;
    std::sort(sorted.begin(), sorted.end());
    bool permutes = rank >= 2 && sorted.size() == static_cast<std::size_t>(rank - 1);
    for (std::size_t i = 0; permutes && i < sorted.size(); ++i)
        permutes = sorted[i] == static_cast<std::int64_t>(i) + 1;
    if (!permutes)
        refuse_parameter(info, "axes", concat({"each of 1 to ", rank - 1, " once for ", inputs[0].text()}),
                         list_text(axes));
}

Shape Transpose::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    for (int axis = 1; axis < result.rank(); ++axis)
        result[axis] = inputs[0][static_cast<int>(axes[static_cast<std::size_t>(axis) - 1])];
    return result;
}

void ChannelShuffle::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    require_divisor(info, "groups", groups, inputs[0].back());
}

} // namespace mpscnn::ops
