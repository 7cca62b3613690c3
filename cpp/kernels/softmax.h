#pragma once

#include "kernels/encoding.h"

namespace mpscnn::kernels {

/// MPSCNNSoftMax and MPSCNNLogSoftMax, over the feature channels of each pixel.
struct Softmax {
    bool logarithm = false;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const {
        const int source = builder.pixels();
        return logarithm ? builder.add(ops::LogSoftmax{}, {source}) : builder.add(ops::Softmax{}, {source});
    }
};

/// MPSCNNSoftMaxGradient and MPSCNNLogSoftMaxGradient. Sources: the gradient, and the forward kernel's
/// result.
struct SoftmaxGradient {
    bool logarithm = false;

    template <class Visitor> void fixed(Visitor &) {}
    template <class Visitor> void fields(Visitor &) {}

    void check(const std::string &) const {}
    ops::WeightSpecs weights() const { return {}; }
    std::int64_t output_channels(ChannelCounts sources) const { return sources[0]; }
    int build(EncodingBuilder &builder) const {
        const int gradient = builder.pixels(0), result = builder.pixels(1);
        return builder.add(ops::SoftmaxGradient{.logarithm = logarithm}, {gradient, result});
    }
};

} // namespace mpscnn::kernels
