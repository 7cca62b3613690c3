#pragma once

#include "ops/gather.h"

namespace mpscnn::ops {

/// The gradient of what rows, columns or channels were gathered from, `extent` of them: each gets the sum of
/// the gradients of its copies. Input: the gradient of the gather's result.
struct GatherGradient {
    static constexpr OperationInfo info =
        training_info("gather_gradient", "Gradient of what rows, columns or channels were gathered from.", 1);

    Gather gather;
    std::int64_t extent = 1;

    template <class Visitor> void fields(Visitor &visit) {
        gather.fields(visit);
        visit("extent", extent, "positions of the axis that was gathered from");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

} // namespace mpscnn::ops
