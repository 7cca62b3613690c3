#include "kernels/fully_connected.h"

#include "core/text.h"

namespace mpscnn::kernels {

ops::Window FullyConnected::taps() const {
    ops::Window window;
    window.kernel_height = kernel_height;
    window.kernel_width = kernel_width;
    return window;
}

void FullyConnected::check(const std::string &kernel) const {
    require_range(kernel, "kernel_width", kernel_width, 1);
    require_range(kernel, "kernel_height", kernel_height, 1);
    require_range(kernel, "input_feature_channels", input_feature_channels, 1);
    require_range(kernel, "output_feature_channels", output_feature_channels, 1);
}

ops::WeightSpecs FullyConnected::weights() const {
    ops::WeightSpecs specs{
        {"weights", {output_feature_channels, kernel_height, kernel_width, input_feature_channels}},
        {"bias_terms", {output_feature_channels}, false}};
    fused_neuron_descriptor.add_weights(specs, output_feature_channels);
    return specs;
}

ImageRegion FullyConnected::source_region(const Offset &, const ImageSize &, std::size_t) const {
    ImageRegion region;
    region.width = kernel_width;
    region.height = kernel_height;
    return region;
}

int FullyConnected::build(EncodingBuilder &builder) const {
    const ImageDescriptor &image = builder.image();
    if (image.width != kernel_width || image.height != kernel_height ||
        builder.channels() < input_feature_channels)
        builder.refuse(ErrorKind::shape, concat({"the source must be ", kernel_width, " x ", kernel_height,
                                                 " with ", input_feature_channels,
                                                 " feature channels behind its offset, got ", image.text()}));
    if (builder.width() != 1 || builder.height() != 1)
        builder.refuse(ErrorKind::shape, concat({"writes one pixel; clip_rect takes ", builder.width(), " x ",
                                                 builder.height(), " of the destination"}));
    builder.read_channels(input_feature_channels);
    ops::FullyConnected dense;
    dense.outputs = output_feature_channels;
    const int source = builder.whole();
    const int result =
        builder.add(dense, {source},
                    {{"weight",
                      "weights",
                      {output_feature_channels, kernel_height, kernel_width, input_feature_channels}},
                     {"bias", "bias_terms", {output_feature_channels}}});
    return builder.add_neuron(fused_neuron_descriptor.neuron, result, output_feature_channels);
}

} // namespace mpscnn::kernels
