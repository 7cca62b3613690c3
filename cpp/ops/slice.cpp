#include "ops/slice.h"

namespace mpscnn::ops {

namespace {

struct AxisSlice {
    const char *axis;
    std::int64_t first, count, stride;

    std::int64_t begin(std::int64_t extent) const { return first < 0 ? extent + first : first; }
    /// Of an axis of this extent; below 1 when nothing is left.
    std::int64_t result(std::int64_t extent) const {
        if (count != 0) return count;
        return extent == Shape::any ? Shape::any : (extent - begin(extent) + stride - 1) / stride;
    }
};

AxisSlice rows_of(const Slice &slice) { return {"rows", slice.top, slice.height, slice.stride_y}; }
AxisSlice columns_of(const Slice &slice) { return {"columns", slice.left, slice.width, slice.stride_x}; }
AxisSlice channels_of(const Slice &slice) { return {"channels", slice.front, slice.channels, 1}; }

void require_within(const AxisSlice &slice, std::int64_t extent) {
    if (extent == Shape::any) return;
    const std::int64_t begin = slice.begin(extent), count = slice.result(extent);
    if (begin >= 0 && count >= 1 && begin + (count - 1) * slice.stride < extent) return;
    fail(ErrorKind::shape,
         {Slice::info.name, ": ", (slice.count == 0 ? "what follows" : std::to_string(count) + " from"), " ",
          slice.first, " on in steps of ", slice.stride, " does not lie within ", extent, " ", slice.axis});
}

} // namespace

Slice::Origin Slice::origin(const Shape &input) const {
    return {rows_of(*this).begin(input[1]), columns_of(*this).begin(input[2]),
            channels_of(*this).begin(input[3])};
}

void Slice::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    for (const auto &[name, first] :
         {std::pair{"top", top}, std::pair{"left", left}, std::pair{"front", front}})
        require_at_least(info, name, first, -largest_size);
    for (const auto &[name, count] :
         {std::pair{"height", height}, std::pair{"width", width}, std::pair{"channels", channels}})
        require_at_least(info, name, count, 0);
    require_at_least(info, "stride_y", stride_y, 1);
    require_at_least(info, "stride_x", stride_x, 1);
    require_within(rows_of(*this), inputs[0][1]);
    require_within(columns_of(*this), inputs[0][2]);
    require_within(channels_of(*this), inputs[0][3]);
}

Shape Slice::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], rows_of(*this).result(input[1]), columns_of(*this).result(input[2]),
            channels_of(*this).result(input[3])};
}

} // namespace mpscnn::ops
