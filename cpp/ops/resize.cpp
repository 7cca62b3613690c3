#include "ops/resize.h"

namespace mpscnn::ops {

ResizeAxis Resize::axis(std::int64_t input, std::int64_t output) const {
    const double in = static_cast<double>(input), out = static_cast<double>(output);
    switch (alignment) {
    case ResizeAlignment::corners:
        return {output > 1 ? (in - 1.0) / (out - 1.0) : 0.0, 0.0};
    case ResizeAlignment::asymmetric:
        return {in / out, 0.0};
    case ResizeAlignment::half_pixel:
        break;
    }
    return {in / out, 0.5 * in / out - 0.5};
}

void Resize::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_at_least(info, "height", height, 0);
    require_at_least(info, "width", width, 0);
    require_at_least(info, "scale_y", scale_y, 1);
    require_at_least(info, "scale_x", scale_x, 1);
    if (height != 0 && scale_y != 1)
        refuse_parameter(info, "scale_y", "1 when height is given", std::to_string(scale_y));
    if (width != 0 && scale_x != 1)
        refuse_parameter(info, "scale_x", "1 when width is given", std::to_string(scale_x));
}

Shape Resize::output_shape(const InputShapes &inputs) const {
    const auto extent = [](std::int64_t input, std::int64_t fixed, std::int64_t scale) {
        if (fixed != 0) return fixed;
        return input == Shape::any ? Shape::any : input * scale;
    };
    const Shape &input = inputs[0];
    return {input[0], extent(input[1], height, scale_y), extent(input[2], width, scale_x), input[3]};
}

Cost Resize::cost(const InputShapes &, const Shape &output) const {
    return {0, kind == ResizeKind::bilinear ? 7 * output.elements() : 0};
}

} // namespace mpscnn::ops
