#include "ops/padding.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

std::int64_t widened(std::int64_t extent, std::int64_t before, std::int64_t after) {
    return extent == Shape::any ? Shape::any : extent + before + after;
}

void require_rest(const char *axis, std::int64_t extent, std::int64_t before, std::int64_t after) {
    if (extent == Shape::any || extent + before + after >= 1) return;
    fail(ErrorKind::shape,
         {Padding::info.name, ": ", before, " and ", after, " leave nothing of ", extent, " ", axis});
}

} // namespace

void Padding::check_values(const InputShapes &inputs) const {
    require_finite(info, "value", value);
    if (value != 0.0f && (mode != PaddingMode::constant_ || !values.empty()))
        refuse_parameter(info, "value", "0 unless mode is constant, and with values", value);
    if (values.empty()) return;
    if (mode != PaddingMode::constant_)
        refuse_parameter(info, "values", "empty unless mode is constant", "some");
    for (double one : values)
        if (!std::isfinite(static_cast<float>(one))) refuse_parameter(info, "values", "finite", one);
    const std::int64_t channels = output_shape(inputs)[3];
    if (channels != Shape::any && channels != static_cast<std::int64_t>(values.size()))
        refuse_parameter(info, "values", concat({channels, ", one for each channel of the result"}),
                         values.size());
}

void Padding::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    for (const auto &[name, amount] :
         {std::pair{"top", top}, std::pair{"bottom", bottom}, std::pair{"left", left},
          std::pair{"right", right}, std::pair{"front", front}, std::pair{"back", back}})
        require_at_least(info, name, amount, -largest_size);
    require_rest("rows", inputs[0][1], top, bottom);
    require_rest("columns", inputs[0][2], left, right);
    require_rest("channels", inputs[0][3], front, back);
    check_values(inputs);
}

Shape Padding::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], widened(input[1], top, bottom), widened(input[2], left, right),
            widened(input[3], front, back)};
}

} // namespace mpscnn::ops
