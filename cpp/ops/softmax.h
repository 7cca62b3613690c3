#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Common code of both forms of softmax. They work on vectors along the last axis.
struct ChannelSoftmax {
    template <class Visitor> void fields(Visitor &) {}

    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 4 * output.elements()}; }
};

/// exp(x) / sum(exp(x)) over the channels of each pixel, computed after subtracting the largest x.
struct Softmax : ChannelSoftmax {
    static constexpr OperationInfo info{"softmax", "Softmax over the feature channels.", 1, 1, true, false,
                                        true};

    void check(const InputShapes &inputs) const { require_channels(info, inputs); }
};

/// x - ln(sum(exp(x))) over the channels of each pixel, computed after subtracting the largest x.
struct LogSoftmax : ChannelSoftmax {
    static constexpr OperationInfo info{
        "log_softmax", "Logarithm of softmax over the feature channels.", 1, 1, true, false, true};

    void check(const InputShapes &inputs) const { require_channels(info, inputs); }
};

} // namespace mpscnn::ops
