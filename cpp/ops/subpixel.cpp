#include "ops/subpixel.h"

#include "core/text.h"
#include "ops/convolution.h"

namespace mpscnn::ops {

namespace {

/// With this limit the number of channels of a block fits in 64 bits.
constexpr std::int64_t largest_scale = 1 << 10;

void check_scale(const OperationInfo &info, std::int64_t scale) {
    if (scale < 1 || scale > largest_scale)
        refuse_parameter(info, "scale", concat({"1 to ", largest_scale}), scale);
}

std::int64_t scaled(std::int64_t extent, std::int64_t scale) {
    return extent == Shape::any ? Shape::any : extent * scale;
}

/// Return the extent of the result: `wanted`, or `all` if that is 0. Only a part of the last block may be cut
/// off, so other extents are errors.
std::int64_t cropped(const char *field, std::int64_t wanted, std::int64_t all, std::int64_t scale) {
    if (wanted == 0 || all == Shape::any) return wanted == 0 ? all : wanted;
    if (wanted > all - scale && wanted <= all) return wanted;
    fail(ErrorKind::shape, {SubpixelConvolution::info.name, ": ", field, " must be ", all - scale + 1, " to ",
                            all, ", got ", wanted});
}

} // namespace

void DepthToSpace::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    check_scale(info, scale);
    if (inputs[0].back() % (scale * scale) != 0)
        refuse_parameter(info, "scale",
                         concat({"a number whose square divides the ", inputs[0].back(), " channels"}),
                         scale);
}

Shape DepthToSpace::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], scaled(input[1], scale), scaled(input[2], scale), input[3] / (scale * scale)};
}

void SubpixelConvolution::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_minimum(info, "output_channels", output_channels, 1);
    check_scale(info, scale);
    window.check(info);
    require_groups(info, groups, inputs[0].back(), convolution_channels());
    require_minimum(info, "output_height", output_height, 0);
    require_minimum(info, "output_width", output_width, 0);
}

Shape SubpixelConvolution::output_shape(const InputShapes &inputs) const {
    const std::int64_t height = scaled(window.output_height(info, inputs[0][1]), scale);
    const std::int64_t width = scaled(window.output_width(info, inputs[0][2]), scale);
    return {inputs[0][0], cropped("output_height", output_height, height, scale),
            cropped("output_width", output_width, width, scale), output_channels};
}

WeightSpecs SubpixelConvolution::weights(const InputShapes &inputs) const {
    const std::int64_t channels = convolution_channels();
    return {{"weight", {channels, window.kernel_height, window.kernel_width, inputs[0].back() / groups}},
            {"bias", {channels}, false}};
}

Cost SubpixelConvolution::cost(const InputShapes &inputs, const Shape &output) const {
    // The factors are multiplied by Shape::elements(), which throws if a product exceeds 64 bits.
    const Shape products{2, output.elements(), window.kernel_height, window.kernel_width,
                         inputs[0].back() / groups};
    const std::int64_t flops = products.elements();
    return {flops / 2, flops};
}

} // namespace mpscnn::ops
