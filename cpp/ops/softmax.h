#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// The code that softmax and logarithmic softmax share. They work on vectors along the last axis.
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

/// The gradient of the input of a softmax, or of a logarithmic softmax: y * (g - sum of g * y), or g - e^y *
/// sum of g. The sums are over the channels of each pixel. Inputs: the gradient g of the result, and the
/// result y.
struct SoftmaxGradient {
    static constexpr OperationInfo info =
        training_info("softmax_gradient", "Gradient of the input of softmax or log_softmax.", 2);

    bool logarithm = false;

    template <class Visitor> void fields(Visitor &visit) {
        visit("logarithm", logarithm, "true: gradient of log_softmax; false: of softmax");
    }

    void check(const InputShapes &inputs) const {
        require_fixed_channels(info, inputs);
        require_like_first(info, inputs, 1);
    }
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 4 * output.elements()}; }
};

} // namespace mpscnn::ops
