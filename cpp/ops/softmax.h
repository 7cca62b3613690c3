#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// exp(x) / sum(exp(x)) over the channels of each pixel, computed after subtracting the largest x.
struct Softmax {
    static constexpr OperationInfo info{"softmax", "Softmax over the feature channels.", 1, 1, true, false,
                                        true};

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const { require_fixed_channels(info, inputs); }
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, 4 * output.elements()}; }
};

} // namespace mpscnn::ops
