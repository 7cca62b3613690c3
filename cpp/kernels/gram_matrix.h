#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSNNGramMatrixCalculation: column f, channel c of the result is alpha times the sum over all pixels of
/// channel f times channel c.
struct GramMatrix {
    static constexpr bool reads_whole_source = true;

    float alpha = 1.0f;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &visit) { visit("alpha", alpha, "factor of the sums"); }

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    ImageSize destination_size(std::span<const ImageDescriptor> sources) const {
        return {sources[0].feature_channels, 1};
    }
    int build(EncodingBuilder &builder) const;
};

} // namespace mpscnn::kernels
