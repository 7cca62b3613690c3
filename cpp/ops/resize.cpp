#include "ops/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <numbers>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

struct AxisNames {
    const char *extent, *scale, *magnification, *offset;
};
constexpr AxisNames rows{"height", "scale_y", "magnification_y", "offset_y"};
constexpr AxisNames columns{"width", "scale_x", "magnification_x", "offset_x"};

/// The user's parameters for one axis.
struct ResizeParameters {
    const AxisNames &names;
    std::int64_t extent;
    double scale, magnification, offset;

    std::int64_t result(std::int64_t input) const {
        if (extent != 0) return extent;
        if (input == Shape::any) return Shape::any;
        const double product = static_cast<double>(input) * scale;
        // The product is rounded to float32, as in ONNX: 100 * 0.29 is 29 in float32, and less in double.
        // Float32 represents all whole numbers up to 2^24.
        const double size = product < 0x1p24 ? static_cast<double>(static_cast<float>(product)) : product;
        // The limit keeps huge sizes in the range of int64; the check of the shape refuses them later.
        return static_cast<std::int64_t>(std::min(std::floor(size), 0x1p62));
    }
};

ResizeParameters vertical_of(const Resize &resize) {
    return {rows, resize.height, resize.scale_y, resize.magnification_y, resize.offset_y};
}

ResizeParameters horizontal_of(const Resize &resize) {
    return {columns, resize.width, resize.scale_x, resize.magnification_x, resize.offset_x};
}

ResizeAxis sampling(ResizeAlignment alignment, const ResizeParameters &given, std::int64_t input,
                    std::int64_t output) {
    const double in = static_cast<double>(input), out = static_cast<double>(output);
    if (alignment == ResizeAlignment::corners)
        return output > 1 ? ResizeAxis{in - 1.0, out - 1.0, 0.0, given.offset}
                          : ResizeAxis{0.0, 1.0, 0.0, given.offset};
    if (alignment == ResizeAlignment::pytorch_half_pixel && output == 1) return {0.0, 1.0, 0.0, given.offset};
    ResizeAxis axis{in, out, 0.0, given.offset};
    const double stated = given.magnification != 0.0 ? given.magnification
                          : given.extent == 0        ? given.scale
                                                     : 0.0;
    if (stated != 0.0) axis = {1.0, stated, 0.0, given.offset};
    if (alignment != ResizeAlignment::asymmetric) {
        axis.centre = 0.5;
        axis.offset -= 0.5;
    }
    return axis;
}

/// The largest factor of shrinking for Lanczos' filter if a factor is stated. It bounds the number of
/// positions that one result reads; otherwise the sizes bound it.
constexpr double widest_lanczos = 256.0;

void check_axis(const ResizeParameters &given, const Resize &resize, std::int64_t input) {
    const ResizeAlignment alignment = resize.alignment;
    const OperationInfo &info = Resize::info;
    constexpr double largest = largest_size;
    require_minimum(info, given.names.extent, given.extent, 0);
    if (!(given.scale > 0.0 && given.scale <= largest))
        refuse_parameter(info, given.names.scale, "above 0 and at most 16777216", given.scale);
    if (given.extent != 0 && given.scale != 1.0)
        refuse_parameter(info, given.names.scale, concat({"1 when ", given.names.extent, " is given"}),
                         given.scale);
    if (!(given.magnification >= 0.0 && given.magnification <= largest) ||
        (given.magnification != 0.0 && given.magnification < 1.0 / largest))
        refuse_parameter(info, given.names.magnification, "0, or 1/16777216 to 16777216",
                         given.magnification);
    if (given.magnification != 0.0 && alignment == ResizeAlignment::corners)
        refuse_parameter(info, given.names.magnification, "0 with alignment corners", given.magnification);
    if (resize.kind == ResizeKind::lanczos && given.magnification != 0.0 &&
        given.magnification < 1.0 / widest_lanczos)
        refuse_parameter(info, given.names.magnification, "0, or at least 1/256 with kind lanczos",
                         given.magnification);
    if (!(std::abs(given.offset) <= largest))
        refuse_parameter(info, given.names.offset, "-16777216 to 16777216", given.offset);
    if (input != Shape::any && given.result(input) < 1)
        fail(ErrorKind::shape,
             {info.name, ": ", given.names.scale, " ", given.scale, " leaves nothing of ", input});
}

} // namespace

ResizeAxis Resize::vertical(std::int64_t input, std::int64_t output) const {
    return sampling(alignment, vertical_of(*this), input, output);
}

ResizeAxis Resize::horizontal(std::int64_t input, std::int64_t output) const {
    return sampling(alignment, horizontal_of(*this), input, output);
}

NearestRule Resize::nearest_rule() const {
    switch (rounding) {
    case ResizeRounding::by_alignment:
        return {alignment == ResizeAlignment::asymmetric ? 0.0 : 0.5, false};
    case ResizeRounding::floor:
        return {0.0, false};
    case ResizeRounding::ceil:
        return {0.0, true};
    case ResizeRounding::round_prefer_floor:
        return {-0.5, true};
    case ResizeRounding::round_prefer_ceil:
        return {0.5, false};
    }
    return {};
}

void Resize::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    check_axis(vertical_of(*this), *this, inputs[0][1]);
    check_axis(horizontal_of(*this), *this, inputs[0][2]);
    require_edge(info, edge, {EdgeRule::clamp, EdgeRule::zero});
}

Shape Resize::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], vertical_of(*this).result(input[1]), horizontal_of(*this).result(input[2]), input[3]};
}

Cost Resize::cost(const InputShapes &inputs, const Shape &output) const {
    if (kind == ResizeKind::nearest) return {};
    if (kind == ResizeKind::bilinear) return {0, 7 * output.elements()};
    const std::int64_t rows = inputs[0][1], columns = inputs[0][2];
    const std::int64_t taps =
        lanczos_taps(vertical(rows, output[1]), rows) + lanczos_taps(horizontal(columns, output[2]), columns);
    return {0, Shape{2 * taps, output.elements()}.elements()}; // a shape throws for products beyond 64 bits
}

namespace {

constexpr double lobes = 3.0;

/// Lanczos' function with three lobes. Its zeros, the whole numbers but 0, are exact, because sin() would
/// give a rounding error there. C libraries may differ in the last bit of the double result. Rounding the
/// weights to float32 removes this difference.
double lanczos(double t) {
    if (t == 0.0) return 1.0;
    if (std::abs(t) >= lobes || t == std::floor(t)) return 0.0;
    const double angle = std::numbers::pi * t;
    return lobes * std::sin(angle) * std::sin(angle / lobes) / (angle * angle);
}

double stretch_of(const ResizeAxis &axis) { return std::max(1.0, axis.numerator / axis.denominator); }

} // namespace

std::int64_t lanczos_taps(const ResizeAxis &axis, std::int64_t size) {
    const double taps = std::ceil(2.0 * lobes * stretch_of(axis)) + 1.0;
    return taps < static_cast<double>(size) ? static_cast<std::int64_t>(taps) : size;
}

LanczosSpan lanczos_weights(const ResizeAxis &axis, std::int64_t size, bool zero_outside, std::int64_t output,
                            float *weights) {
    const double stretch = stretch_of(axis), reach = lobes * stretch;
    const double end = static_cast<double>(size) - 1.0;
    const double position =
        (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    if (position <= -reach || position >= end + reach) { // all positions that the filter reads lie outside
        if (zero_outside) return {};
        weights[0] = 1.0f;
        return {position < 0.0 ? 0 : size - 1, 1};
    }
    const auto low = static_cast<std::int64_t>(std::ceil(position - reach)),
               high = static_cast<std::int64_t>(std::floor(position + reach));
    const auto weight = [&](std::int64_t at) {
        return lanczos((static_cast<double>(at) - position) / stretch);
    };
    // The sines take nearly all of the time, so each of the few weights of an enlarged image is computed
    // once.
    std::array<double, 8> kept;
    const bool are_few = high - low < static_cast<std::int64_t>(kept.size());
    double all = 0.0, before = 0.0, behind = 0.0;
    for (std::int64_t at = low; at <= high; ++at) {
        const double own = weight(at);
        if (are_few) kept[static_cast<std::size_t>(at - low)] = own;
        all += own;
        if (at < 0) before += own;
        if (at >= size) behind += own;
    }
    if (zero_outside) {
        if (high < 0 || low >= size) return {};
        before = behind = 0.0;
    }
    LanczosSpan span{std::clamp(low, std::int64_t{0}, size - 1), 0};
    for (std::int64_t at = span.first; at <= std::clamp(high, std::int64_t{0}, size - 1); ++at) {
        double own = are_few ? kept[static_cast<std::size_t>(at - low)] : weight(at);
        if (at == 0) own += before;
        if (at == size - 1) own += behind;
        // Skip pixels with weight 0, because an infinite pixel would make the sum NaN.
        if (own == 0.0 && span.count == 0)
            ++span.first;
        else
            weights[span.count++] = static_cast<float>(own / all);
    }
    while (span.count > 0 && weights[span.count - 1] == 0.0f) --span.count;
    if (span.count == 0) span.first = 0;
    return span;
}

} // namespace mpscnn::ops
