#include "ops/padding.h"

#include <cmath>

namespace mpscnn::ops {

void Padding::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_at_least(info, "top", top, 0);
    require_at_least(info, "bottom", bottom, 0);
    require_at_least(info, "left", left, 0);
    require_at_least(info, "right", right, 0);
    require_at_least(info, "front", front, 0);
    require_at_least(info, "back", back, 0);
    if (!std::isfinite(value)) refuse_parameter(info, "value", "finite", std::to_string(value));
}

Shape Padding::output_shape(const InputShapes &inputs) const {
    const auto widen = [](std::int64_t extent, std::int64_t border) {
        return extent == Shape::any ? Shape::any : extent + border;
    };
    const Shape &input = inputs[0];
    return {input[0], widen(input[1], top + bottom), widen(input[2], left + right),
            widen(input[3], front + back)};
}

} // namespace mpscnn::ops
