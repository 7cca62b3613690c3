#pragma once

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

/// MPSCNNConvolutionTranspose: a correlation of stride 1 over the source with stride - 1 zeros between its
/// pixels. The window of result o begins at offset * stride + kernel_offset + o - (reach >> 1).
struct ConvolutionTranspose {
    static constexpr auto default_padding = ops::PaddingMethod::Size::full;

    std::int64_t kernel_width = 1, kernel_height = 1;
    std::int64_t input_feature_channels = 0, output_feature_channels = 0;
    std::int64_t stride_x = 1, stride_y = 1, dilation_rate_x = 1, dilation_rate_y = 1;
    std::int64_t groups = 1;
    NeuronDescriptor fused_neuron_descriptor;
    bool is_gradient = false; ///< true: the gradient kernel; every gradient kernel has kernel offsets
    std::int64_t kernel_offset_x = 0, kernel_offset_y = 0;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "columns of the filter");
        visit("kernel_height", kernel_height, "rows of the filter");
        visit("input_feature_channels", input_feature_channels, "feature channels of the source");
        visit("output_feature_channels", output_feature_channels, "number of filters");
        visit("stride_x", stride_x, "destination columns between source columns");
        visit("stride_y", stride_y, "destination rows between source rows");
        visit("dilation_rate_x", dilation_rate_x, "destination columns between taps");
        visit("dilation_rate_y", dilation_rate_y, "destination rows between taps");
        visit("groups", groups, "independent groups of channels");
        visit("fused_neuron_descriptor", fused_neuron_descriptor, "neuron applied to the result");
    }
    template <class Visitor> void fields(Visitor &visit) {
        if (is_gradient) return;
        visit("kernel_offset_x", kernel_offset_x, "destination columns by which the window is moved");
        visit("kernel_offset_y", kernel_offset_y, "destination rows by which the window is moved");
    }

    /// Return the extents of the window, dilation included.
    ImageSize reach() const;
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return output_feature_channels; }
    /// Return the size of a result with padding policy "full": (n - 1) * stride + reach.
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    ImageRegion source_region(const Offset &offset, const ImageSize &written, std::size_t) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
