#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Inputs one after the other along an axis.
struct Concatenation {
    static constexpr int max_inputs = 1024;
    static constexpr OperationInfo info{
        "concatenation", "Joins tensors along an axis.", 1, max_inputs, false, false, true};

    std::int64_t axis = -1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axis", axis, "axis to join along, negative from the end; not the batch");
    }

    /// The axis counted from the front.
    int positive_axis(const InputShapes &inputs) const {
        return static_cast<int>(axis < 0 ? axis + inputs[0].rank() : axis);
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
