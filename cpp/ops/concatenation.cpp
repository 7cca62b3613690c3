#include "ops/concatenation.h"

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

} // namespace mpscnn::ops
