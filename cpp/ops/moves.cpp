#include "ops/moves.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

void Concatenation::check(const InputShapes &inputs) const {
    const int rank = inputs[0].rank();
    if (axis < -rank || axis >= rank || positive_axis(inputs) == 0)
        refuse_parameter(info, "axis", concat({"an axis of ", inputs[0].text(), " other than the batch"}),
                         axis);
    const int joined = positive_axis(inputs);
    for (const Shape &input : inputs.subspan(1)) {
        bool agrees = input.rank() == rank;
        for (int i = 0; agrees && i < rank; ++i) agrees = i == joined || input[i] == inputs[0][i];
        if (!agrees)
            fail(ErrorKind::shape, {info.name, ": inputs must agree in all axes but ", joined, ", got ",
                                    inputs[0].text(), " and ", input.text()});
    }
}

Shape Concatenation::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    const int joined = positive_axis(inputs);
    for (const Shape &input : inputs.subspan(1)) {
        const bool free = result[joined] == Shape::any || input[joined] == Shape::any;
        result[joined] = free ? Shape::any : result[joined] + input[joined];
    }
    return result;
}

namespace {

std::int64_t widened(std::int64_t extent, std::int64_t before, std::int64_t after) {
    return extent == Shape::any ? Shape::any : extent + before + after;
}

void require_rest(const char *axis, std::int64_t extent, std::int64_t before, std::int64_t after) {
    if (extent == Shape::any || extent + before + after >= 1) return;
    fail(ErrorKind::shape,
         {Padding::info.name, ": ", before, " and ", after, " leave nothing of ", extent, " ", axis});
}

} // namespace

void Padding::check_values(const InputShapes &inputs) const {
    require_finite(info, "value", value);
    if (value != 0.0f && (mode != PaddingMode::constant_ || !values.empty()))
        refuse_parameter(info, "value", "0 unless mode is constant, and with values", value);
    if (values.empty()) return;
    if (mode != PaddingMode::constant_)
        refuse_parameter(info, "values", "empty unless mode is constant", "some");
    for (double one : values)
        if (!std::isfinite(static_cast<float>(one))) refuse_parameter(info, "values", "finite", one);
    const std::int64_t channels = output_shape(inputs)[3];
    if (channels != Shape::any && channels != static_cast<std::int64_t>(values.size()))
        refuse_parameter(info, "values", concat({channels, ", one for each channel of the result"}),
                         values.size());
}

void Padding::check(const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    for (const auto &[name, amount] :
         {std::pair{"top", top}, std::pair{"bottom", bottom}, std::pair{"left", left},
          std::pair{"right", right}, std::pair{"front", front}, std::pair{"back", back}})
        require_minimum(info, name, amount, -largest_size);
    require_rest("rows", inputs[0][1], top, bottom);
    require_rest("columns", inputs[0][2], left, right);
    require_rest("channels", inputs[0][3], front, back);
    check_values(inputs);
}

Shape Padding::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], widened(input[1], top, bottom), widened(input[2], left, right),
            widened(input[3], front, back)};
}

void Reshape::check(const InputShapes &inputs) const {
    if (shape.empty() || shape.size() >= Shape::max_rank)
        refuse_parameter(info, "shape", concat({"1 to ", Shape::max_rank - 1, " extents"}), list_text(shape));
    const auto valid = [](std::int64_t extent) { return extent >= -1 && extent <= (1LL << 40); };
    if (!std::all_of(shape.begin(), shape.end(), valid) || std::count(shape.begin(), shape.end(), -1) > 1)
        refuse_parameter(info, "shape", "extents of at least 1, or 0 for the input's, at most one of them -1",
                         list_text(shape));
    for (std::size_t place = static_cast<std::size_t>(inputs[0].rank()) - 1; place < shape.size(); ++place)
        if (shape[place] == 0)
            refuse_parameter(info, "shape", concat({"other than 0 where ", inputs[0].text(), " has no axis"}),
                             list_text(shape));
    output_shape(inputs);
}

Shape Reshape::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    std::vector<std::int64_t> extents{input[0]};
    for (const std::int64_t extent : shape)
        extents.push_back(extent == 0 ? input[static_cast<int>(extents.size())] : extent);
    Shape result{std::span<const std::int64_t>(extents)};
    if (!input.with_batch(1).fixed()) return result; // if the input has a free extent, the -1 stays free, too
    const std::int64_t given = input.with_batch(1).elements();
    std::int64_t wanted = 1;
    for (auto extent = extents.begin() + 1; extent != extents.end(); ++extent) {
        if (*extent == -1) continue;
        // The shape has more elements than the input, so the check below throws. The product might overflow.
        if (wanted > given / *extent) wanted = given + 1;
        if (wanted > given) break;
        wanted *= *extent;
    }
    const auto open = std::find(shape.begin(), shape.end(), -1);
    const bool fits = open == shape.end() ? wanted == given : wanted <= given && given % wanted == 0;
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": ", input.text(), " has ", given,
                                " elements per image, which do not fit shape ", list_text(shape)});
    if (open != shape.end()) result[static_cast<int>(open - shape.begin()) + 1] = given / wanted;
    return result;
}

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

/// Return the extent of axis number `from_end`, where the last axis has number 1. Return 1 if there is no
/// such axis.
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
        require_minimum(info, name, first, -largest_size);
    for (const auto &[name, count] :
         {std::pair{"height", height}, std::pair{"width", width}, std::pair{"channels", channels}})
        require_minimum(info, name, count, 0);
    for (const auto &[name, stride] : {std::pair{"stride_y", stride_y}, std::pair{"stride_x", stride_x},
                                       std::pair{"stride_channels", stride_channels}}) {
        require_minimum(info, name, stride, -largest_size);
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

void Transpose::check(const InputShapes &inputs) const {
    const int rank = inputs[0].rank();
    std::vector<std::int64_t> sorted = axes;
    std::sort(sorted.begin(), sorted.end());
    bool permutes = rank >= 2 && sorted.size() == static_cast<std::size_t>(rank - 1);
    for (std::size_t i = 0; permutes && i < sorted.size(); ++i)
        permutes = sorted[i] == static_cast<std::int64_t>(i) + 1;
    if (!permutes)
        refuse_parameter(info, "axes", concat({"each of 1 to ", rank - 1, " once for ", inputs[0].text()}),
                         list_text(axes));
}

Shape Transpose::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    for (int axis = 1; axis < result.rank(); ++axis)
        result[axis] = inputs[0][static_cast<int>(axes[static_cast<std::size_t>(axis) - 1])];
    return result;
}

void ChannelShuffle::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    require_divisor(info, "groups", groups, inputs[0].back());
}

} // namespace mpscnn::ops
