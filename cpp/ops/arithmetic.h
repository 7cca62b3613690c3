#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Elementwise sum of two tensors of one shape.
struct Addition {
    static constexpr OperationInfo info{
        "add", "Elementwise sum of two tensors of one shape.", 2, 2, true, true, true};

    template <class Visitor> void fields(Visitor &) {}

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &output) const { return {0, output.elements()}; }
};

} // namespace mpscnn::ops
