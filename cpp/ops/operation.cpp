#include "ops/operation.h"

#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

void refuse_parameter(const OperationInfo &info, std::string_view field, const TextPart &allowed,
                      const TextPart &given) {
    fail(ErrorKind::parameter, {info.name, ": ", field, " must be ", allowed, ", got ", given});
}

void require_minimum(const OperationInfo &info, std::string_view field, std::int64_t value,
                     std::int64_t minimum) {
    if (value < minimum || value > largest_size)
        refuse_parameter(info, field, concat({minimum, " to ", largest_size}), value);
}

void require_finite(const OperationInfo &info, std::string_view field, float value) {
    if (!std::isfinite(value)) refuse_parameter(info, field, "finite", value);
}

void require_not_negative(const OperationInfo &info, std::string_view field, float value) {
    if (!(value >= 0.0f) || !std::isfinite(value))
        refuse_parameter(info, field, "at least 0 and finite", value);
}

void require_divisor(const OperationInfo &info, std::string_view field, std::int64_t value,
                     std::int64_t channels) {
    if (value < 1 || channels % value != 0)
        refuse_parameter(info, field, concat({"a divisor of the ", channels, " channels"}), value);
}

std::string list_text(const std::vector<std::int64_t> &numbers) {
    std::string result = "[";
    constexpr std::size_t longest = 200;
    for (std::int64_t number : numbers) {
        if (result.size() > longest) return result + ", ...]";
        result += concat({(result.size() > 1 ? ", " : ""), number});
    }
    return result + "]";
}

void require_rank(const OperationInfo &info, const InputShapes &inputs, int rank, std::size_t index) {
    if (inputs[index].rank() == rank) return;
    const char *expected = rank == 4 ? " (n, height, width, channels)" : rank == 2 ? " (n, features)" : "";
    fail(ErrorKind::shape, {info.name, ": input ", index, " must have ", rank, " axes", expected, ", got ",
                            inputs[index].text()});
}

void require_image_or_less(const OperationInfo &info, const Shape &input) {
    if (input.rank() >= 2 && input.rank() <= 4) return;
    fail(ErrorKind::shape, {info.name, ": the input must have 2 to 4 axes, got ", input.text()});
}

namespace {

/// True if two shapes are equal, except along axes where an extent is free (Shape::any).
bool shapes_agree(const Shape &a, const Shape &b) {
    bool same = a.rank() == b.rank();
    for (int axis = 0; same && axis < a.rank(); ++axis)
        same = a[axis] == b[axis] || a[axis] == Shape::any || b[axis] == Shape::any;
    return same;
}

} // namespace

void require_shape(const OperationInfo &info, const InputShapes &inputs, std::size_t index,
                   const Shape &expected, std::string_view what) {
    if (shapes_agree(inputs[index], expected)) return;
    fail(ErrorKind::shape,
         {info.name, ": input ", index, what.empty() ? "" : ", ", what, what.empty() ? "" : ",",
          " must have the shape ", expected.text(), ", got ", inputs[index].text()});
}

void require_like_first(const OperationInfo &info, const InputShapes &inputs, std::size_t index) {
    if (shapes_agree(inputs[0], inputs[index])) return;
    fail(ErrorKind::shape, {info.name, ": input ", index, " must have the shape of input 0, ",
                            inputs[0].text(), ", got ", inputs[index].text()});
}

void require_result(const OperationInfo &info, const Shape &gradient, const Shape &result) {
    if (shapes_agree(gradient, result)) return;
    fail(ErrorKind::shape, {info.name, ": input 0 must have the shape of the result, ", result.text(),
                            ", got ", gradient.text()});
}

void require_channels(const OperationInfo &info, const InputShapes &inputs) {
    if (inputs[0].rank() < 2)
        fail(ErrorKind::shape, {info.name, ": the input must have 2 axes or more, got ", inputs[0].text()});
}

void require_fixed_channels(const OperationInfo &info, const InputShapes &inputs) {
    if (inputs[0].rank() < 2 || inputs[0].back() < 1)
        fail(ErrorKind::shape,
             {info.name, ": the number of channels must be known and at least 1, got ", inputs[0].text()});
}

} // namespace mpscnn::ops
