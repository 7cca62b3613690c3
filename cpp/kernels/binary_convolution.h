#pragma once

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"
#include "ops/binary_convolution.h"

namespace mpscnn::kernels {

/// MPSCNNBinaryConvolution. Its weights have one bit each, the signs of the given numbers.
struct BinaryConvolution {
    std::int64_t kernel_width = 1, kernel_height = 1;
    std::int64_t input_feature_channels = 0, output_feature_channels = 0;
    std::int64_t stride_x = 1, stride_y = 1, dilation_rate_x = 1, dilation_rate_y = 1;
    ops::BinaryKind type = ops::BinaryKind::binary_weights;
    bool use_beta_scaling = false;
    NeuronDescriptor fused_neuron_descriptor;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "columns of the filter");
        visit("kernel_height", kernel_height, "rows of the filter");
        visit("input_feature_channels", input_feature_channels, "feature channels of the source");
        visit("output_feature_channels", output_feature_channels, "number of filters");
        visit("stride_x", stride_x, "source columns between destination columns");
        visit("stride_y", stride_y, "source rows between destination rows");
        visit("dilation_rate_x", dilation_rate_x, "source columns between taps");
        visit("dilation_rate_y", dilation_rate_y, "source rows between taps");
        visit("type", type,
              "'binary_weights' (real inputs), 'xnor' (signs of inputs) or 'and' (bits of inputs)");
        visit("use_beta_scaling", use_beta_scaling,
              "whether results are multiplied by the mean magnitude of the source in the window");
        visit("fused_neuron_descriptor", fused_neuron_descriptor, "neuron applied to the result");
    }
    template <class Visitor> void fields(Visitor &) {}

    ops::Window taps() const;
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return output_feature_channels; }
    int build(EncodingBuilder &builder) const;

protected:
    /// Return the weights by the roles of ops::BinaryConvolution and ops::BinaryFullyConnected.
    std::vector<WeightUse> weight_uses() const;
};

/// MPSCNNBinaryFullyConnected. Its filter is as large as the source, and the offset is ignored.
struct BinaryFullyConnected : BinaryConvolution {
    static constexpr auto default_padding = ops::PaddingMethod::Size::valid;

    void check(const std::string &kernel) const;
    ImageRegion source_region(const Offset &, const ImageSize &, std::size_t) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
