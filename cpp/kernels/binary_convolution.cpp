#include "kernels/binary_convolution.h"

#include "core/text.h"
#include "kernels/filter.h"

namespace mpscnn::kernels {

ops::Window BinaryConvolution::taps() const { return taps_of(*this); }

void BinaryConvolution::check(const std::string &kernel) const { check_filter(kernel, *this); }

ops::WeightSpecs BinaryConvolution::weights() const {
    const Shape outputs{output_feature_channels}, inputs{input_feature_channels};
    ops::WeightSpecs specs{
        {"weights", {output_feature_channels, kernel_height, kernel_width, input_feature_channels}},
        {"bias_terms", outputs, false},
        {"output_scale_terms", outputs, false},
        {"input_bias_terms", inputs, false},
        {"input_scale_terms", inputs, false}};
    fused_neuron_descriptor.add_weights(specs, output_feature_channels);
    return specs;
}

std::vector<WeightUse> BinaryConvolution::weight_uses() const {
    const Shape outputs{output_feature_channels}, inputs{input_feature_channels};
    return {
        {"weight", "weights", {output_feature_channels, kernel_height, kernel_width, input_feature_channels}},
        {"bias", "bias_terms", outputs},
        {"scale", "output_scale_terms", outputs},
        {"input_bias", "input_bias_terms", inputs},
        {"input_scale", "input_scale_terms", inputs}};
}

int BinaryConvolution::build(EncodingBuilder &builder) const {
    builder.read_channels(input_feature_channels);
    ops::BinaryConvolution convolution;
    convolution.output_channels = output_feature_channels;
    convolution.kind = type;
    convolution.beta_scaling = use_beta_scaling;
    convolution.window = builder.place(taps());
    const int source = builder.widened(convolution.window);
    const int result = builder.add(convolution, {source}, weight_uses());
    return builder.add_neuron(fused_neuron_descriptor.neuron, result, output_feature_channels);
}

void BinaryFullyConnected::check(const std::string &kernel) const {
    BinaryConvolution::check(kernel);
    const auto require_one = [&](const char *field, std::int64_t given) {
        if (given != 1) fail(ErrorKind::parameter, {kernel, ": ", field, " must be 1, got ", given});
    };
    require_one("stride_x", stride_x);
    require_one("stride_y", stride_y);
    require_one("dilation_rate_x", dilation_rate_x);
    require_one("dilation_rate_y", dilation_rate_y);
}

ImageRegion BinaryFullyConnected::source_region(const Offset &, const ImageSize &, std::size_t) const {
    ImageRegion region;
    region.width = kernel_width;
    region.height = kernel_height;
    return region;
}

int BinaryFullyConnected::build(EncodingBuilder &builder) const {
    const ImageDescriptor &image = builder.image();
    if (image.width != kernel_width || image.height != kernel_height)
        builder.refuse(ErrorKind::shape, concat({"the source must be ", kernel_width, " x ", kernel_height,
                                                 ", got ", image.text()}));
    builder.read_channels(input_feature_channels);
    builder.require_written({1, 1}, "writes one pixel");
    ops::BinaryFullyConnected dense;
    dense.outputs = output_feature_channels;
    dense.kind = type;
    dense.beta_scaling = use_beta_scaling;
    const int source = builder.whole();
    const int result = builder.add(dense, {source}, weight_uses());
    return builder.add_neuron(fused_neuron_descriptor.neuron, result, output_feature_channels);
}

} // namespace mpscnn::kernels
