#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Select rows, columns or channels by their indices, in any order and with repetitions.
struct Gather {
    static constexpr OperationInfo info{
        "gather", "Rows, columns or channels at given positions.", 1, 1, false, false, true};

    std::int64_t axis = -1;
    std::vector<std::int64_t> indices;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axis", axis, "axis other than the batch; negative from the end");
        visit("indices", indices, "positions along it, counted from 0");
    }

    int positive_axis(const Shape &input) const {
        return static_cast<int>(axis < 0 ? axis + input.rank() : axis);
    }
    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Select elements along an axis by indices that the network computes. Along all other axes both inputs have
/// the same extent, or one of them has extent 1 and is repeated. An index is truncated to a whole number.
/// Negative indices count from the end. An index beyond the axis selects its first or last element, and NaN
/// selects the first one.
struct TakeAlongAxis {
    static constexpr OperationInfo info{
        "take_along_axis", "Elements along an axis by computed indices.", 2, 2, false, false, false};

    std::int64_t axis = -1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axis", axis, "axis other than the batch; negative from the end");
    }

    int positive_axis(const Shape &input) const {
        return static_cast<int>(axis < 0 ? axis + input.rank() : axis);
    }
    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Repeat the whole tensor along its last three axes.
struct Tile {
    static constexpr OperationInfo info{
        "tile", "A tensor repeated along rows, columns and channels.", 1, 1, false, false, true};

    std::int64_t rows = 1, columns = 1, channels = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("rows", rows, "repetitions along the third axis from the end");
        visit("columns", columns, "repetitions along the second axis from the end");
        visit("channels", channels, "repetitions along the last axis");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// The gradient of a gather with respect to its input, whose axis has `extent` elements: each row, column or
/// channel gets the sum of the gradients of its copies. Input: the gradient of the gather's result.
struct GatherGradient {
    static constexpr OperationInfo info =
        training_info("gather_gradient", "Gradient of a gather's input.", 1);

    Gather gather;
    std::int64_t extent = 1;

    template <class Visitor> void fields(Visitor &visit) {
        gather.fields(visit);
        visit("extent", extent, "extent of the input's axis");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &inputs, const Shape &) const { return {0, inputs[0].elements()}; }
};

} // namespace mpscnn::ops
