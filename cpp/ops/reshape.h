#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Other extents for the same elements in the same (row-major NHWC) order. The batch stays.
struct Reshape {
    static constexpr OperationInfo info{
        "reshape", "Same elements in the same order, other extents.", 1, 1, false, false, true};

    std::vector<std::int64_t> shape;

    template <class Visitor> void fields(Visitor &visit) {
        visit("shape", shape,
              "extents without the batch; 0: the input's on the same axis, which may be free; one may be -1: "
              "whatever is left");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
