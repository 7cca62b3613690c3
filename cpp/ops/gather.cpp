#include "ops/gather.h"

#include "core/text.h"

namespace mpscnn::ops {

void Gather::check(const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    const int rank = inputs[0].rank(), along = positive_axis(inputs[0]);
    if (axis < -rank || axis >= rank || along < 1)
        refuse_parameter(info, "axis", concat({"an axis of ", inputs[0].text(), " other than the batch"}),
                         axis);
    const std::int64_t extent = inputs[0][along];
    if (extent == Shape::any)
        fail(ErrorKind::shape,
             {info.name, ": the extent of axis ", along, " must be known, got ", inputs[0].text()});
    if (indices.empty() || indices.size() > static_cast<std::size_t>(largest_size))
        refuse_parameter(info, "indices", concat({"1 to ", largest_size, " numbers"}), indices.size());
    for (std::int64_t index : indices)
        if (index < 0 || index >= extent)
            refuse_parameter(info, "indices", concat({"positions of 0 to ", extent - 1}), index);
}

Shape Gather::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    result[positive_axis(inputs[0])] = static_cast<std::int64_t>(indices.size());
    return result;
}

void TakeAlongAxis::check(const InputShapes &inputs) const {
    const Shape &input = inputs[0], &indices = inputs[1];
    require_image_or_less(info, input);
    require_rank(info, inputs, input.rank(), 1);
    const int along = positive_axis(input);
    if (axis < -input.rank() || axis >= input.rank() || along < 1)
        refuse_parameter(info, "axis", concat({"an axis of ", input.text(), " other than the batch"}), axis);
    for (int i = 1; i < input.rank(); ++i) {
        const std::int64_t a = input[i], b = indices[i];
        const bool fits = a == b || a == 1 || b == 1 || a == Shape::any || b == Shape::any;
        if (i != along && !fits)
            fail(ErrorKind::shape, {info.name, ": the inputs must have the same extents, or 1, but for axis ",
                                    along, ", got ", input.text(), " and ", indices.text()});
    }
}

Shape TakeAlongAxis::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0], &indices = inputs[1];
    Shape result = indices;
    for (int i = 1; i < input.rank(); ++i)
        if (i != positive_axis(input) && (indices[i] == 1 || (indices[i] == Shape::any && input[i] != 1)))
            result[i] = input[i];
    return result;
}

void Tile::check(const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    const int rank = inputs[0].rank();
    struct Repeats {
        const char *field;
        std::int64_t times;
        int min_rank;
    };
    for (const auto &[field, times, min_rank] :
         {Repeats{"rows", rows, 4}, Repeats{"columns", columns, 3}, Repeats{"channels", channels, 2}}) {
        require_minimum(info, field, times, 1);
        if (times != 1 && rank < min_rank)
            refuse_parameter(info, field, concat({"1 for ", inputs[0].text()}), times);
    }
}

Shape Tile::output_shape(const InputShapes &inputs) const {
    Shape result = inputs[0];
    const std::int64_t times[] = {channels, columns, rows};
    for (int from_end = 1; from_end < result.rank(); ++from_end) {
        std::int64_t &extent = result[result.rank() - from_end];
        if (extent != Shape::any) extent = Shape{extent, times[from_end - 1]}.elements();
    }
    return result;
}

void GatherGradient::check(const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    require_minimum(info, "extent", extent, 1);
    const Shape &gradient = inputs[0];
    // Throws an error with the reason.
    if (gather.axis < -gradient.rank() || gather.axis >= gradient.rank()) gather.check(inputs);
    const Shape input = output_shape(inputs);
    gather.check({&input, 1});
    require_result(info, gradient, gather.output_shape({&input, 1}));
}

Shape GatherGradient::output_shape(const InputShapes &inputs) const {
    Shape input = inputs[0];
    input[gather.positive_axis(input)] = extent;
    return input;
}

} // namespace mpscnn::ops
