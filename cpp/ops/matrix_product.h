#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Batched matrix product: scale * A B. The last two axes of both inputs are the matrices' rows and columns,
/// and the axes before them number the matrices. In an image (n, height, width, channels) each row is a
/// matrix of width x channels: (n, heads, tokens, features) in attention.
struct MatrixProduct {
    static constexpr OperationInfo info{
        "matrix_product", "Products of matrices, the last two axes of two tensors.", 2, 2, true, false, true};

    bool transpose_first = false, transpose_second = false;
    float scale = 1.0f;

    template <class Visitor> void fields(Visitor &visit) {
        visit("transpose_first", transpose_first, "whether the first input's matrices are transposed");
        visit("transpose_second", transpose_second, "whether the second input's matrices are transposed");
        visit("scale", scale, "factor of the products");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &output) const;
};

} // namespace mpscnn::ops
