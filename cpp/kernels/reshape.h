#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSNNReshape: copies the elements of each image, in [height][width][channel] order, to the destination's
/// shape.
struct Reshape {
    static constexpr bool reads_whole_source = true;

    bool is_gradient = false; ///< true: the gradient kernel, in which the images define the shapes
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

/// MPSNNPad. The negative offset is the number of rows before the source, and the written size determines the
/// number of rows after the source. The same holds for columns. The padding sizes determine the number of
/// channels before and after. If the kernel allocates the result, its size follows from the padding sizes.
struct Pad {
    /// True: this kernel supports all edge modes, and any first channel of the source.
    static constexpr bool any_edge_mode = true;

    /// True: the gradient kernel, which does not depend on the values of the border.
    bool is_gradient = false;
    Offset padding_size_before, padding_size_after; ///< x: columns, y: rows, z: feature channels
    float fill_value = 0.0f;
    std::vector<double> fill_values; ///< one for each written channel; override fill_value

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

/// MPSNNSlice: copies the pixels from the offset on, and the channels from source_feature_channel_offset on.
struct Slice {
    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const {
        const int source = builder.pixels();
        return builder.add(ops::Padding{}, {source}); // a padding without borders copies the source
    }
};

} // namespace mpscnn::kernels
