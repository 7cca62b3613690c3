#include "ops/matrix_product.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// Rows and columns of an input's matrices as the product reads them, after a transposition if it has one.
struct MatrixExtents {
    std::int64_t rows, columns;

    MatrixExtents(const Shape &shape, bool transposed)
        : rows(shape[shape.rank() - (transposed ? 1 : 2)]),
          columns(shape[shape.rank() - (transposed ? 2 : 1)]) {}
};

bool agree(std::int64_t a, std::int64_t b) { return a == b || a == Shape::any || b == Shape::any; }

} // namespace

void MatrixProduct::check(const InputShapes &inputs) const {
    require_finite(info, "scale", scale);
    const Shape &first = inputs[0], &second = inputs[1];
    const int rank = first.rank();
    bool fits = rank >= 3 && second.rank() == rank;
    for (int axis = 0; fits && axis < rank - 2; ++axis) fits = first[axis] == second[axis];
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": both inputs must have the batch, the same axes behind it and ",
                                "two axes of a matrix, got ", first.text(), " and ", second.text()});
    const std::int64_t columns = MatrixExtents(first, transpose_first).columns,
                       rows = MatrixExtents(second, transpose_second).rows;
    if (!agree(columns, rows))
        fail(ErrorKind::shape,
             {info.name, ": matrices of ", columns, " columns", (transpose_first ? " (transposed)" : ""),
              " and ", rows, " rows", (transpose_second ? " (transposed)" : ""),
              " cannot be multiplied: ", first.text(), " and ", second.text()});
}

Shape MatrixProduct::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    result[result.rank() - 2] = MatrixExtents(inputs[0], transpose_first).rows;
    result[result.rank() - 1] = MatrixExtents(inputs[1], transpose_second).columns;
    return result;
}

Cost MatrixProduct::cost(const InputShapes &inputs, const Shape &output) const {
    const std::int64_t depth = MatrixExtents(inputs[0], transpose_first).columns;
    const std::int64_t macs = Shape{output.elements(), depth}.elements();
    return {macs, Shape{macs, 2}.elements()};
}

} // namespace mpscnn::ops
