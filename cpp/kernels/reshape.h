#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSNNReshape: the elements of each image in [height][width][channel] order, in the destination's shape.
struct Reshape {
    static constexpr bool reads_whole_source = true;

    bool is_gradient = false; ///< whose images alone say what was reshaped
    std::int64_t reshaped_width = 1, reshaped_height = 1, reshaped_feature_channels = 1;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        if (is_gradient) return;
        visit("reshaped_width", reshaped_width, "columns of the result");
        visit("reshaped_height", reshaped_height, "rows of the result");
        visit("reshaped_feature_channels", reshaped_feature_channels, "feature channels of the result");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts) const { return reshaped_feature_channels; }
    ImageSize destination_size(std::span<const ImageDescriptor>) const {
        return {reshaped_width, reshaped_height};
    }
    int build(EncodingBuilder &builder) const;
};

/// MPSNNPad. Rows and columns of the border follow from the offset (its negative is what lies before) and
/// from what is written, channels from the padding sizes. Results that the kernel makes have the padding
/// sizes.
struct Pad {
    static constexpr bool any_edge_mode = true; ///< and any first channel of the source

    bool is_gradient = false;                       ///< which does not depend on what the border held
    Offset padding_size_before, padding_size_after; ///< z: channels
    float fill_value = 0.0f;
    std::vector<double> fill_values; ///< for each channel written; they override fill_value

    template <class Visitor> void fixed(Visitor &visit) {
        if (!is_gradient)
            visit("fill_value_array", fill_values,
                  "values of the channels written, for edge_mode 'constant'; they override fill_value");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("padding_size_before", padding_size_before, "(x, y, channels) before the source");
        visit("padding_size_after", padding_size_after, "(x, y, channels) behind the source");
        if (!is_gradient) visit("fill_value", fill_value, "value of the border with edge_mode 'constant'");
    }

    void check(const std::string &kernel) const;
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const {
        return sources[0] + padding_size_before.z + padding_size_after.z;
    }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const {
        return {sources[0].width + padding_size_before.x + padding_size_after.x,
                sources[0].height + padding_size_before.y + padding_size_after.y};
    }
    Offset destination_offset() const { return {-padding_size_before.x, -padding_size_before.y, 0}; }
    int build(EncodingBuilder &builder) const;
};

/// MPSNNSlice: a copy of the pixels from the offset on, and of the channels from
/// source_feature_channel_offset on.
struct Slice {
    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const {
        const int source = builder.pixels();
        return builder.add(ops::Padding{}, {source}); // a copy
    }
};

} // namespace mpscnn::kernels
