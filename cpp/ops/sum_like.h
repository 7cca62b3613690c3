#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Sums of the first input's elements, one for each element of the second input, of which only the shape
/// counts. As images (n, height, width, channels), each extent of the second is that of the first or 1, and
/// sums run over the axes where it is 1. The gradient of a bias, and of what arithmetic has broadcast.
struct SumLike {
    static constexpr OperationInfo info =
        training_info("sum_like", "Sums over the axes that another tensor does not have.", 2);

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[1]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

} // namespace mpscnn::ops
