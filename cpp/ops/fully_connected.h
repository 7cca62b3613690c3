#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Throws unless the input is a vector, or an image with fixed extents.
void require_dense_input(const OperationInfo &info, const InputShapes &inputs);

/// Dense layer: every output is a weighted sum of all inputs. Weights are [out][height][width][in] for an
/// image and [out][in] for a vector.
struct FullyConnected {
    static constexpr OperationInfo info{
        "fully_connected", "Dense layer: weighted sums of all inputs.", 1, 1, true, true, true};

    std::int64_t outputs = 0;

    template <class Visitor> void fields(Visitor &visit) { visit("outputs", outputs, "number of results"); }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return {inputs[0][0], outputs}; }
    WeightSpecs weights(const InputShapes &inputs) const;
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
