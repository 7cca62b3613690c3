#pragma once

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

/// MPSCNNFullyConnected: a convolution whose filter is as large as the source; the offset is ignored. Weights
/// are [output][source height][source width][input], the generic layout in Apple's headers.
struct FullyConnected {
    static constexpr auto default_padding = ops::PaddingMethod::Size::valid;

    std::int64_t kernel_width = 1, kernel_height = 1;
    std::int64_t input_feature_channels = 0, output_feature_channels = 0;
    NeuronDescriptor fused_neuron_descriptor;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "width of the source");
        visit("kernel_height", kernel_height, "height of the source");
        visit("input_feature_channels", input_feature_channels, "feature channels of the source");
        visit("output_feature_channels", output_feature_channels, "number of results");
        visit("fused_neuron_descriptor", fused_neuron_descriptor, "neuron applied to the result");
    }
    template <class Visitor> void fields(Visitor &) {}

    ops::Window taps() const;
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return output_feature_channels; }
    ImageRegion source_region(const Offset &, const ImageSize &, std::size_t) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
