#include "ops/arithmetic.h"

#include <algorithm>
#include <optional>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

/// The strides of one input along its axes y, x and channels.
struct AxisStrides {
    std::int64_t y, x, channels;

    /// Return the stride of an axis, counted from the last one; 1 for axes before the last three.
    std::int64_t at(int axis_from_end) const {
        return axis_from_end == 1 ? channels : axis_from_end == 2 ? x : axis_from_end == 3 ? y : 1;
    }
};

AxisStrides primary_strides(const Arithmetic &operation) {
    return {operation.primary_stride_y, operation.primary_stride_x, operation.primary_stride_channels};
}
AxisStrides secondary_strides(const Arithmetic &operation) {
    return {operation.secondary_stride_y, operation.secondary_stride_x, operation.secondary_stride_channels};
}

/// Return the extent of the result that an input's axis gives, or nothing if a stride of 0 broadcasts the
/// axis.
std::optional<std::int64_t> reach(std::int64_t extent, std::int64_t stride) {
    if (stride == 0) return std::nullopt;
    return extent == Shape::any ? extent : (extent + stride - 1) / stride;
}

/// Return the result's extent along an axis from the extents that both inputs give, or nothing if they
/// differ. If neither input gives an extent, it is 1.
std::optional<std::int64_t> joined(std::optional<std::int64_t> a, std::optional<std::int64_t> b) {
    if (!a && !b) return 1;
    if (!a || !b) return a ? a : b;
    if (*a == Shape::any || *b == Shape::any) return Shape::any;
    return *a == *b ? a : std::nullopt;
}

} // namespace

bool Arithmetic::is_plain() const {
    const std::array strides{primary_stride_y,   primary_stride_x,   primary_stride_channels,
                             secondary_stride_y, secondary_stride_x, secondary_stride_channels};
    return primary_scale == 1.0f && secondary_scale == 1.0f && bias == 0.0f && !has_minimum() &&
           !has_maximum() &&
           std::all_of(strides.begin(), strides.end(), [](std::int64_t stride) { return stride == 1; });
}

void Arithmetic::check(const OperationInfo &info, const InputShapes &inputs) const {
    require_finite(info, "primary_scale", primary_scale);
    require_finite(info, "secondary_scale", secondary_scale);
    require_finite(info, "bias", bias);
    require_finite(info, "minimum", minimum);
    require_finite(info, "maximum", maximum);
    if (minimum > maximum) refuse_parameter(info, "minimum", concat({"at most maximum ", maximum}), minimum);
    require_minimum(info, "primary_stride_y", primary_stride_y, 0);
    require_minimum(info, "primary_stride_x", primary_stride_x, 0);
    require_minimum(info, "secondary_stride_y", secondary_stride_y, 0);
    require_minimum(info, "secondary_stride_x", secondary_stride_x, 0);
    for (const auto &[field, stride] : {std::pair{"primary_stride_channels", primary_stride_channels},
                                        std::pair{"secondary_stride_channels", secondary_stride_channels}})
        if (stride != 0 && stride != 1) refuse_parameter(info, field, "0 or 1", stride);
    const int rank = inputs[0].rank();
    constexpr int image_rank = 4; // with more axes, kernels see all axes before the last two as one
    if (rank > image_rank && (primary_stride_y != 1 || secondary_stride_y != 1))
        refuse_parameter(info, primary_stride_y != 1 ? "primary_stride_y" : "secondary_stride_y",
                         "1 for tensors of more than 4 axes",
                         primary_stride_y != 1 ? primary_stride_y : secondary_stride_y);
    const bool agree = inputs[1].rank() == rank && inputs[1][0] == inputs[0][0];
    if (!agree || output_shape(inputs).rank() != rank)
        fail(ErrorKind::shape,
             {info.name, ": the inputs must have one shape, but for axes that strides of 0 ",
              "broadcast, got ", inputs[0].text(), " and ", inputs[1].text()});
}

/// Return the shape of the result, or a shape without axes if the inputs do not fit together.
Shape Arithmetic::output_shape(const InputShapes &inputs) const {
    const AxisStrides primary = primary_strides(*this), secondary = secondary_strides(*this);
    Shape result = inputs[0];
    for (int axis = 1; axis < result.rank(); ++axis) {
        const int from_end = result.rank() - axis;
        const auto extent = joined(reach(inputs[0][axis], primary.at(from_end)),
                                   reach(inputs[1][axis], secondary.at(from_end)));
        if (!extent) return {};
        result[axis] = *extent;
    }
    return result;
}

} // namespace mpscnn::ops
