#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSNNReduceRow, -Column and -FeatureChannels with Max, Min, Sum and Mean. Each row or column becomes one
/// pixel, or the feature channels of each pixel become one channel.
struct Reduction {
    static constexpr bool reads_whole_source = true;

    ops::ReductionKind kind = ops::ReductionKind::max;
    ops::ReductionAxis axis = ops::ReductionAxis::channels;

    ClipRect clip_rect_source;
    float weight = 1.0f;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        visit("clip_rect_source", clip_rect_source,
              "part of the source that is reduced, whatever its z; null: all of it");
        if (axis == ops::ReductionAxis::channels && kind == ops::ReductionKind::sum)
            visit("weight", weight, "factor of every feature channel");
    }

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const {
        return axis == ops::ReductionAxis::channels ? 1 : sources[0];
    }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

/// MPSNNReduceFeatureChannelsArgumentMax and -Min: the index of the channel, the first one among equal ones.
struct ArgumentReduction {
    static constexpr bool reads_whole_source = true;

    ops::ArgumentKind kind = ops::ArgumentKind::max;

    ClipRect clip_rect_source;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) {
        visit("clip_rect_source", clip_rect_source,
              "part of the source that is reduced, whatever its z; null: all of it");
    }

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts) const { return 1; }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

/// MPSNNReduceFeatureChannelsAndWeightsSum and -Mean: the secondary source holds the weights.
struct WeightedReduction {
    static constexpr bool reads_whole_source = true;

    bool mean = false;

    bool by_non_zero_weights = false;
    ClipRect primary_clip, secondary_clip;

    template <class Visitor> void fixed(Visitor &visit) {
        if (!mean)
            visit("do_weighted_sum_by_non_zero_weights", by_non_zero_weights,
                  "whether the sum is divided by the number of weights that are not zero");
    }
    template <class Visitor> void fields(Visitor &visit) {
        visit("primary_source_clip_rect", primary_clip, "part of the primary source that is reduced");
        visit("secondary_source_clip_rect", secondary_clip,
              "part of the secondary source that holds its weights");
    }

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts) const { return 1; }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const;
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
