#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// A tensor that is a weight. The input only determines the number of images; each image gets the same
/// values.
struct Constant {
    static constexpr OperationInfo info{
        "constant", "A weight as a tensor, the same for each image of the input.", 1, 1, true, false, false};

    std::vector<std::int64_t> shape;

    template <class Visitor> void fields(Visitor &visit) {
        visit("shape", shape, "extents of the value, without the batch");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {{"value", Shape(shape)}}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
