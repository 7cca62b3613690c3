#pragma once

#include <limits>
#include <optional>

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

/// MPSCNNConvolution with each of its three descriptors: plain, depthwise and sub-pixel.
struct Convolution {
    std::int64_t kernel_width = 1, kernel_height = 1;
    std::int64_t input_feature_channels = 0, output_feature_channels = 0;
    std::int64_t stride_x = 1, stride_y = 1, dilation_rate_x = 1, dilation_rate_y = 1;
    std::int64_t groups = 1;
    bool depthwise = false;
    std::int64_t sub_pixel_scale_factor = 1;
    NeuronDescriptor fused_neuron_descriptor;
    bool batch_normalization = false;
    float batch_normalization_epsilon = std::numeric_limits<float>::min();

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "columns of the filter");
        visit("kernel_height", kernel_height, "rows of the filter");
        visit("input_feature_channels", input_feature_channels, "feature channels of the source");
        visit("output_feature_channels", output_feature_channels, "number of filters");
        visit("stride_x", stride_x, "source columns between destination columns");
        visit("stride_y", stride_y, "source rows between destination rows");
        visit("dilation_rate_x", dilation_rate_x, "source columns between taps");
        visit("dilation_rate_y", dilation_rate_y, "source rows between taps");
        visit("groups", groups,
              "independent groups of channels; each has a multiple of 4 source and destination channels");
        visit("depthwise", depthwise,
              "whether each source channel is convolved on its own (MPSCNNDepthWiseConvolutionDescriptor)");
        visit("sub_pixel_scale_factor", sub_pixel_scale_factor,
              "factor by which channels become rows and columns (MPSCNNSubPixelConvolutionDescriptor)");
        visit("fused_neuron_descriptor", fused_neuron_descriptor, "neuron applied to the result");
        visit("batch_normalization", batch_normalization,
              "whether there are weights mean, variance, gamma and beta, applied before the neuron");
        visit("batch_normalization_epsilon", batch_normalization_epsilon,
              "added to the variance, above zero");
    }
    template <class Visitor> void fields(Visitor &) {}

    std::int64_t channel_multiplier() const { return output_feature_channels / input_feature_channels; }
    ops::Window taps() const;
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const {
        return output_feature_channels / (sub_pixel_scale_factor * sub_pixel_scale_factor);
    }
    void policy_applied(KernelProperties &, ImageDescriptor &destination) const {
        destination.width *= sub_pixel_scale_factor;
        destination.height *= sub_pixel_scale_factor;
    }
    ImageRegion source_region(const Offset &offset, const ImageSize &written, std::size_t) const;
    int build(EncodingBuilder &builder) const;

private:
    /// Return the size of the convolution's result, before its channels are rearranged to the written pixels.
    ImageSize computed_size(const ImageSize &written) const;
};

} // namespace mpscnn::kernels
