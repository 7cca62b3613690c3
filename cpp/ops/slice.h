#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Part of an image: rows, columns and channels from a first one on, rows and columns in steps.
struct Slice {
    static constexpr OperationInfo info{
        "slice", "Rows, columns and channels of an image.", 1, 1, false, false, true};

    std::int64_t top = 0, left = 0, front = 0;
    std::int64_t height = 0, width = 0, channels = 0;
    std::int64_t stride_y = 1, stride_x = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("top", top, "first row, negative from the end");
        visit("left", left, "first column, negative from the end");
        visit("front", front, "first channel, negative from the end");
        visit("height", height, "rows of the result; 0: up to the last one");
        visit("width", width, "columns of the result; 0: up to the last one");
        visit("channels", channels, "channels of the result; 0: up to the last one");
        visit("stride_y", stride_y, "input rows between rows of the result");
        visit("stride_x", stride_x, "input columns between columns of the result");
    }

    /// Where the part begins in an image of this shape.
    struct Origin {
        std::int64_t row, column, channel;
    };
    Origin origin(const Shape &input) const;

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
