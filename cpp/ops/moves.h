#pragma once

#include "ops/kinds.h"
#include "ops/operation.h"

namespace mpscnn::ops {

/// Join the inputs along an axis, one after the other.
struct Concatenation {
    static constexpr int max_inputs = 1024;
    static constexpr OperationInfo info{
        "concatenation", "Joins tensors along an axis.", 1, max_inputs, false, false, true};

    std::int64_t axis = -1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axis", axis, "axis to join along, negative from the end; not the batch");
    }

    /// Return the axis counted from the front.
    int positive_axis(const InputShapes &inputs) const {
        return static_cast<int>(axis < 0 ? axis + inputs[0].rank() : axis);
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Add a border around images and channels. A mirrored border that is wider than the image is reflected
/// again at the opposite side. Negative amounts crop.
struct Padding {
    static constexpr OperationInfo info{
        "padding", "Border around an image: constant, clamped or mirrored.", 1, 1, false, false, true};

    std::int64_t top = 0, bottom = 0, left = 0, right = 0, front = 0, back = 0;
    float value = 0.0f;
    PaddingMode mode = PaddingMode::constant_;
    std::vector<double> values{};

    template <class Visitor> void fields(Visitor &visit) {
        visit("top", top, "rows above, negative: cropped");
        visit("bottom", bottom, "rows below, negative: cropped");
        visit("left", left, "columns to the left, negative: cropped");
        visit("right", right, "columns to the right, negative: cropped");
        visit("front", front, "channels before the first, negative: cropped");
        visit("back", back, "channels after the last, negative: cropped");
        visit("value", value, "value of the border in constant mode");
        visit("mode", mode,
              "constant, clamp (nearest pixel), mirror (border pixel once), mirror_with_edge (twice)");
        visit("values", values, "instead of value: one for each channel of the result, constant mode");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }

private:
    void check_values(const InputShapes &inputs) const;
};

/// Change the extents without moving elements, in row-major NHWC order. The batch stays.
struct Reshape {
    static constexpr OperationInfo info{
        "reshape", "Same elements in the same order, other extents.", 1, 1, false, false, true};

    std::vector<std::int64_t> shape;

    template <class Visitor> void fields(Visitor &visit) {
        visit("shape", shape,
              "extents without the batch; 0: the input's on the same axis, which may be free; one may be -1: "
              "the remaining elements");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// A part of an image: rows, columns and channels from a first one on, in steps, which go backward if they
/// are negative. Tensors with fewer axes have columns and channels, or channels only.
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

    /// The position in the input at which the part begins.
    struct Origin {
        std::int64_t row, column, channel;
    };
    Origin origin(const Shape &input) const;
    /// Return whether the part can be read as a strided image without a copy: channels are contiguous, and
    /// rows and columns go forward.
    bool is_view() const { return stride_y > 0 && stride_x > 0 && stride_channels == 1; }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Reorder the axes. The batch stays the first one.
struct Transpose {
    static constexpr OperationInfo info{
        "transpose", "The axes after the batch in another order.", 1, 1, false, false, true};

    std::vector<std::int64_t> axes;

    template <class Visitor> void fields(Visitor &visit) {
        visit("axes", axes,
              "for each axis of the result after the batch: the axis of the input, where the batch is 0");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const;
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

/// Channel shuffle (Zhang et al. 2018): channel k * groups + g of the result is channel g * (channels /
/// groups) + k of the input.
struct ChannelShuffle {
    static constexpr OperationInfo info{
        "channel_shuffle", "Interleaves groups of feature channels.", 1, 1, false, false, true};

    std::int64_t groups = 1;

    template <class Visitor> void fields(Visitor &visit) {
        visit("groups", groups, "groups of consecutive channels, a divisor of the channels");
    }

    void check(const InputShapes &inputs) const;
    Shape output_shape(const InputShapes &inputs) const { return inputs[0]; }
    WeightSpecs weights(const InputShapes &) const { return {}; }
    Cost cost(const InputShapes &, const Shape &) const { return {}; }
};

} // namespace mpscnn::ops
