#pragma once

#include "kernels/encoding.h"
#include "kernels/neuron_descriptor.h"

namespace mpscnn::kernels {

/// MPSCNNBatchNormalization. The statistics are weights, or come from a batch normalization state.
struct BatchNormalization {
    std::int64_t number_of_feature_channels = 0;
    NeuronDescriptor fused_neuron_descriptor;
    float epsilon = std::numeric_limits<float>::min();

    template <class Visitor> void fixed(Visitor &visit) {
        visit("number_of_feature_channels", number_of_feature_channels, "feature channels of the source");
        visit("fused_neuron_descriptor", fused_neuron_descriptor, "neuron applied to the result");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return number_of_feature_channels; }
    int build(EncodingBuilder &builder) const;
};

/// MPSCNNBatchNormalizationStatistics. Its result is added to a batch normalization state.
struct BatchStatistics {
    static constexpr bool reads_whole_source = true;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

/// MPSCNNInstanceNormalization and MPSCNNGroupNormalization, which use statistics of each image.
struct GroupNormalization {
    static constexpr bool reads_whole_source = true;

    bool grouped = false; ///< false: every channel is a group

    std::int64_t number_of_feature_channels = 0, number_of_groups = 1;
    float epsilon = std::numeric_limits<float>::min();

    template <class Visitor> void fixed(Visitor &visit) {
        visit("number_of_feature_channels", number_of_feature_channels, "feature channels of the source");
        if (grouped) visit("number_of_groups", number_of_groups, "groups of consecutive channels");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("epsilon", epsilon, "added to the variance, above zero");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const;
    std::int64_t output_channels(ChannelCounts) const { return number_of_feature_channels; }
    int build(EncodingBuilder &builder) const;
};

/// MPSCNNCrossChannelNormalization.
struct CrossChannelNormalization {
    std::int64_t kernel_size = 5;
    float alpha = 1.0f, beta = 5.0f, delta = 1.0f;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_size", kernel_size, "channels of the window, and the divisor of its sum everywhere");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("alpha", alpha, "factor of the mean square");
        visit("beta", beta, "exponent");
        visit("delta", delta, "added to the scaled mean square");
    }

    void check(const std::string &kernel) const { require_range(kernel, "kernel_size", kernel_size, 1); }
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

/// MPSCNNSpatialNormalization and MPSCNNLocalContrastNormalization, which use windows of neighbouring pixels
/// of a channel.
struct WindowNormalization {
    bool local_contrast = false;

    std::int64_t kernel_width = 5, kernel_height = 5;
    float alpha = 1.0f, beta = 5.0f, delta = 1.0f;
    float p0 = 1.0f, pm = 0.0f, ps = 1.0f;

    template <class Visitor> void fixed(Visitor &visit) {
        visit("kernel_width", kernel_width, "columns of the window; must equal its rows");
        visit("kernel_height", kernel_height, "rows of the window");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("alpha", alpha, "factor of the mean square or variance");
        visit("beta", beta, "exponent");
        visit("delta", delta, "added to the scaled mean square or variance");
        if (!local_contrast) return;
        visit("p0", p0, "factor of the mean that is subtracted");
        visit("pm", pm, "added to the result");
        visit("ps", ps, "factor of the result");
    }

    ops::Window taps() const;
    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
