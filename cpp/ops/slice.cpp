#include "ops/slice.h"

namespace mpscnn::ops {

namespace {

struct AxisSlice {
    const char *axis;
    std::int64_t first, count, stride;

    std::int64_t begin(std::int64_t extent) const { return first < 0 ? extent + first : first; }
    /// Return the extent of the result for an input axis of this extent; below 1 if nothing is left.
    std::int64_t result(std::int64_t extent) const {
        if (count != 0) return count;
        if (extent == Shape::any) return Shape::any;
        const std::int64_t left = stride > 0 ? extent - begin(extent) : begin(extent) + 1;
        const std::int64_t step = stride > 0 ? stride : -stride;
        return (left + step - 1) / step;
    }
};

AxisSlice rows_of(const Slice &slice) { return {"rows", slice.top, slice.height, slice.stride_y}; }
AxisSlice columns_of(const Slice &slice) { return {"columns", slice.left, slice.width, slice.stride_x}; }
AxisSlice channels_of(const Slice &slice) {
    return {"channels", slice.front, slice.channels, slice.stride_channels};
}

void require_within(const AxisSlice &slice, std::int64_t extent) {
    if (extent == Shape::any) return;
    const std::int64_t begin = slice.begin(extent), count = slice.result(extent);
    const std::int64_t last = begin + (count - 1) * slice.stride;
    if (begin >= 0 && begin < extent && count >= 1 && last >= 0 && last < extent) return;
    fail(ErrorKind::shape,
         {Slice::info.name, ": ", (slice.count == 0 ? "what follows" : std::to_string(count) + " from"), " ",
          slice.first, " on in steps of ", slice.stride, " does not lie within ", extent, " ", slice.axis});
}

/// Return the extent of an axis, counted from the last one; 1 if the axis does not exist.
std::int64_t extent_of(const Shape &input, int from_end) {
    return from_end < input.rank() ? input[input.rank() - from_end] : 1;
}

} // namespace

Slice::Origin Slice::origin(const Shape &input) const {
    return {rows_of(*this).begin(extent_of(input, 3)), columns_of(*this).begin(extent_of(input, 2)),
            channels_of(*this).begin(extent_of(input, 1))};
}

void Slice::check(const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    for (const auto &[name, first] :
         {std::pair{"top", top}, std::pair{"left", left}, std::pair{"front", front}})
        require_at_least(info, name, first, -largest_size);
    for (const auto &[name, count] :
         {std::pair{"height", height}, std::pair{"width", width}, std::pair{"channels", channels}})
        require_at_least(info, name, count, 0);
    for (const auto &[name, stride] : {std::pair{"stride_y", stride_y}, std::pair{"stride_x", stride_x},
                                       std::pair{"stride_channels", stride_channels}}) {
        require_at_least(info, name, stride, -largest_size);
        if (stride == 0) refuse_parameter(info, name, "other than 0", stride);
    }
    require_within(rows_of(*this), extent_of(inputs[0], 3));
    require_within(columns_of(*this), extent_of(inputs[0], 2));
    require_within(channels_of(*this), extent_of(inputs[0], 1));
}

Shape Slice::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    const std::array axes{channels_of(*this), columns_of(*this), rows_of(*this)};
    for (int from_end = 1; from_end < result.rank(); ++from_end)
        result[result.rank() - from_end] =
            axes[static_cast<std::size_t>(from_end) - 1].result(extent_of(inputs[0], from_end));
    return result;
}

} // namespace mpscnn::ops
