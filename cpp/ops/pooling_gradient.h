#pragma once

#include "ops/pooling.h"

namespace mpscnn::ops {

/// The gradient of a pooling's input. Inputs: the gradient of the result, the pooling's input and its result;
/// of an average only the input's shape counts.
///
/// max: the first of a window's equal elements, row by row, takes the whole gradient, as in PyTorch (MPS does
/// not say which); with edge zero nothing takes it where a zero outside is the maximum too.
/// average: each element that a window reads takes an equal part.
/// l2_norm: gradient * element / result, 0 where the result is 0.
struct PoolingGradient {
    static constexpr OperationInfo info =
        training_info("pooling_gradient", "Gradient of a pooling's input.", 3);

    Pooling pooling;

    template <class Visitor> void fields(Visitor &visit) { pooling.fields(visit); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const {
        return pooling.cost(inputs.subspan(1, 1), inputs[0]);
    }
};

} // namespace mpscnn::ops
