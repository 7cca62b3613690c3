#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNSoftMax: over the feature channels of each pixel.
struct Softmax {
    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(std::int64_t source_channels) const { return source_channels; }
    int build(EncodingBuilder &builder) const {
        const int source = builder.pixels();
        return builder.add(ops::Softmax{}, {source});
    }
};

} // namespace mpscnn::kernels
