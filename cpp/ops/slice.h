#pragma once

#include "ops/operation.h"

namespace mpscnn::ops {

/// Part of an image, or of a tensor of less axes, which has columns and channels or channels only: rows,
/// columns and channels from a first one on, in steps, backward where these are negative.
struct Slice {
    static constexpr OperationInfo info{
        "slice", "Rows, columns and channels of an image.", 1, 1, false, false, true};

    std::int64_t top = 0, left = 0, front = 0;
    std::int64_t height = 0, width = 0, channels = 0;
    std::int64_t stride_y = 1, stride_x = 1, stride_channels = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("top", top, "first row, negative from the end");
        visit("left", left, "first column, negative from the end");
        visit("front", front, "first channel, negative from the end");
        visit("height", height, "rows of the result; 0: all that remain");
        visit("width", width, "columns of the result; 0: all that remain");
        visit("channels", channels, "channels of the result; 0: all that remain");
        visit("stride_y", stride_y,
              "from one row of the result to the next in the input; negative: backward");
        visit("stride_x", stride_x,
              "from one column of the result to the next in the input; negative: backward");
        visit("stride_channels", stride_channels,
              "from one channel of the result to the next in the input; negative: backward");
    }

    /// Where the part begins in an image of this shape.
    struct Origin {
        std::int64_t row, column, channel;
    };
    Origin origin(const Shape &input) const;
    /// Whether the part lies in the image as an image does: channels side by side, rows and columns onward.
    bool is_view() const { return stride_y > 0 && stride_x > 0 && stride_channels == 1; }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
