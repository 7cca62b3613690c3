#include "ops/reduction.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// Throws unless float32 can represent the index of each channel. A reshape can give a tensor more channels.
void require_countable_channels(const OperationInfo &info, const InputShapes &inputs) {
    if (inputs[0].back() > largest_size)
        fail(ErrorKind::shape, {info.name, ": the input must have at most ", largest_size, " channels, got ",
                                inputs[0].text()});
}

Shape one_channel(const Shape &input) {
    Shape result = input;
    result[input.rank() - 1] = 1;
    return result;
}

} // namespace

void Reduction::check(const InputShapes &inputs) const {
    require_channels(info, inputs);
    // With more than four axes, kernels treat all axes before the last two as one.
    if (axis == ReductionAxis::height) require_rank(info, inputs, 4);
    if (axis == ReductionAxis::width && inputs[0].rank() < 3)
        fail(ErrorKind::shape, {info.name, ": the input must have 3 axes or more, got ", inputs[0].text()});
    const bool is_spread = kind == ReductionKind::variance || kind == ReductionKind::deviation;
    if (is_spread) return require_not_negative(info, "weight", weight);
    if (!std::isfinite(weight) || (weight != 1.0f && kind != ReductionKind::sum))
        refuse_parameter(
            info, "weight",
            kind == ReductionKind::sum ? "finite" : "1 unless kind is sum, variance or deviation", weight);
}

Shape Reduction::output_shape(const InputShapes &inputs) const {
    if (axis == ReductionAxis::channels) return one_channel(inputs[0]);
    Shape result = inputs[0];
    result[result.rank() - (axis == ReductionAxis::height ? 3 : 2)] = 1;
    return result;
}

void Argument::check(const InputShapes &inputs) const {
    require_channels(info, inputs);
    require_countable_channels(info, inputs);
}

Shape Argument::output_shape(const InputShapes &inputs) const { return one_channel(inputs[0]); }

void TopK::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    require_countable_channels(info, inputs);
    if (count < 1 || count > inputs[0].back())
        refuse_parameter(info, "count", concat({"1 to ", inputs[0].back()}), count);
}

Shape TopK::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    result[result.rank() - 1] = count;
    return result;
}

void WeightedReduction::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    const Shape &input = inputs[0], &weights = inputs[1];
    bool fits = weights.rank() == input.rank() && weights.back() == input.back();
    for (int axis = 0; fits && axis < input.rank() - 1; ++axis)
        fits = weights[axis] == input[axis] || weights[axis] == 1;
    if (!fits || input.rank() > 4)
        fail(ErrorKind::shape,
             {info.name, ": the weights must have the image's shape or extents of 1 before the ",
              "channels, and 4 axes at most, got ", weights.text(), " for ", input.text()});
}

Shape WeightedReduction::output_shape(const InputShapes &inputs) const { return one_channel(inputs[0]); }

namespace {

/// Return the extent of an axis, counted from the last one: channels 0, columns 1, rows 2, batch 3. Axes that
/// a shape does not have count as 1.
std::int64_t image_extent(const Shape &shape, int axis) {
    if (axis == 3) return shape[0];
    return axis < shape.rank() - 1 ? shape[shape.rank() - 1 - axis] : 1;
}

} // namespace

void SumLike::check(const InputShapes &inputs) const {
    constexpr int image_axes = 4;
    bool fits = true;
    for (const Shape &shape : inputs) fits &= shape.rank() >= 2 && shape.rank() <= image_axes;
    for (int axis = 0; fits && axis < image_axes; ++axis) {
        const std::int64_t given = image_extent(inputs[0], axis), kept = image_extent(inputs[1], axis);
        fits = kept == 1 || kept == given || kept == Shape::any || given == Shape::any;
    }
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": each extent of input 1 must be that of input 0 or 1, got ",
                                inputs[0].text(), " and ", inputs[1].text()});
}

} // namespace mpscnn::ops
