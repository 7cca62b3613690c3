#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "ops/gradient_rules.h"

namespace mpscnn::ops {

namespace {

/// Return the index, in an axis of `extent` elements, of the element that a border copies to position `at`,
/// which may lie outside.
std::int64_t shown(PaddingMode mode, std::int64_t at, std::int64_t extent) {
    if (mode == PaddingMode::clamp || extent == 1) return std::clamp<std::int64_t>(at, 0, extent - 1);
    const std::int64_t period = mode == PaddingMode::mirror ? 2 * extent - 2 : 2 * extent;
    const std::int64_t within = (at % period + period) % period;
    if (within < extent) return within;
    return mode == PaddingMode::mirror ? period - within : period - 1 - within;
}

/// Sum the gradients of copies. `positions` has, for each element of the gradient's axis, the index from 0 to
/// extent - 1 of the element that it was copied from.
Value summed(GradientBuilder &builder, Value gradient, std::int64_t axis, std::int64_t extent,
             std::vector<std::int64_t> positions) {
    return builder.add(GatherGradient{Gather{axis, std::move(positions)}, extent}, {gradient});
}

} // namespace

void add_own(const Gather &gather, GradientBuilder &builder) {
    const Shape &input = builder.shape(builder.input(0));
    builder.give(0, summed(builder, builder.gradient(), gather.axis, input[gather.positive_axis(input)],
                           gather.indices));
}

/// A gradient of a gather adds up copies, so its own gradient is a gather: each copy gets the gradient of its
/// sum.
void add_own(const GatherGradient &gathered, GradientBuilder &builder) {
    builder.give(0, builder.add(gathered.gather, {builder.gradient()}));
}

/// Return the gradient of a padding. Cropped elements get zeros, and constant borders are cropped. In other
/// borders each element adds its gradient to the element that it copies, axis by axis.
Value padding_gradient(const Padding &padding, GradientBuilder &builder, Value gradient, Value input) {
    if (padding.mode == PaddingMode::constant_) {
        Padding inverse;
        inverse.top = -padding.top, inverse.bottom = -padding.bottom;
        inverse.left = -padding.left, inverse.right = -padding.right;
        inverse.front = -padding.front, inverse.back = -padding.back;
        return builder.add(inverse, {gradient});
    }
    const Shape extents = builder.shape(input);
    const std::array before{padding.top, padding.left, padding.front};
    const std::array after{padding.bottom, padding.right, padding.back};
    for (std::size_t i = 0; i < before.size(); ++i) {
        const auto axis = static_cast<std::int64_t>(i) + 1;
        const std::int64_t extent = extents[static_cast<int>(axis)];
        if (before[i] == 0 && after[i] == 0) continue;
        if (extent == Shape::any) builder.refuse("a border that is not constant, of a free extent,");
        std::vector<std::int64_t> positions;
        for (std::int64_t at = -before[i]; at < extent + after[i]; ++at)
            positions.push_back(shown(padding.mode, at, extent));
        gradient = summed(builder, gradient, axis, extent, std::move(positions));
    }
    return gradient;
}

void add_own(const Padding &padding, GradientBuilder &builder) {
    builder.give(0, padding_gradient(padding, builder, builder.gradient(), builder.input(0)));
}

/// Add zeros around the slice's gradient, and between its elements if the slice has steps.
void add_own(const Slice &slice, GradientBuilder &builder) {
    const Shape input = builder.shape(builder.input(0)), part = builder.shape(builder.gradient());
    const Slice::Origin origin = slice.origin(input);
    const std::array first{origin.row, origin.column, origin.channel};
    const std::array step{slice.stride_y, slice.stride_x, slice.stride_channels};
    const bool is_plain = std::all_of(step.begin(), step.end(), [](std::int64_t own) { return own == 1; });
    if (is_plain && input.rank() == 4 && input.with_batch(1).fixed()) {
        Padding zeros;
        zeros.top = origin.row, zeros.bottom = input[1] - part[1] - origin.row;
        zeros.left = origin.column, zeros.right = input[2] - part[2] - origin.column;
        zeros.front = origin.channel, zeros.back = input[3] - part[3] - origin.channel;
        return builder.give(0, builder.add(zeros, {builder.gradient()}));
    }
    Value gradient = builder.gradient();
    for (int from_end = 1; from_end <= 3 && from_end < input.rank(); ++from_end) {
        const int axis = input.rank() - from_end;
        const auto i = static_cast<std::size_t>(3 - from_end);
        if (first[i] == 0 && step[i] == 1 && part[axis] == input[axis]) continue;
        if (input[axis] == Shape::any) builder.refuse("a part of a free extent");
        std::vector<std::int64_t> positions;
        for (std::int64_t at = 0; at < part[axis]; ++at) positions.push_back(first[i] + at * step[i]);
        gradient = summed(builder, gradient, axis, input[axis], std::move(positions));
    }
    builder.give(0, gradient);
}

/// Sum the gradients of the copies.
void add_own(const Tile &tile, GradientBuilder &builder) {
    const Shape input = builder.shape(builder.input(0));
    const std::array copies{tile.channels, tile.columns, tile.rows};
    bool single = true;
    for (int from_end = 1; from_end <= 3 && from_end < input.rank(); ++from_end)
        single = single &&
                 (copies[static_cast<std::size_t>(from_end) - 1] == 1 || input[input.rank() - from_end] == 1);
    if (single) return builder.give(0, builder.add(SumLike{}, {builder.gradient(), builder.input(0)}));
    Value gradient = builder.gradient();
    for (int from_end = 1; from_end <= 3 && from_end < input.rank(); ++from_end) {
        const std::int64_t times = copies[static_cast<std::size_t>(from_end) - 1];
        const std::int64_t axis = input.rank() - from_end, extent = input[static_cast<int>(axis)];
        if (times == 1) continue;
        if (extent == Shape::any) builder.refuse("copies of a free extent");
        std::vector<std::int64_t> positions;
        for (std::int64_t at = 0; at < times * extent; ++at) positions.push_back(at % extent);
        gradient = summed(builder, gradient, axis, extent, std::move(positions));
    }
    builder.give(0, gradient);
}

} // namespace mpscnn::ops
