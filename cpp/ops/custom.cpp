#include "ops/custom.h"

#include "core/text.h"

namespace mpscnn::ops {

void Custom::check(const InputShapes &inputs) const {
    if (!function)
        fail(ErrorKind::parameter, "custom: only the program that has the function can make such a layer");
    for (const Shape &input : inputs)
        if (input[0] != inputs[0][0])
            fail(ErrorKind::shape,
                 {"custom: inputs must have one batch size, got ", inputs[0].text(), " and ", input.text()});
    const Shape result = function->output_shape(inputs);
    bool fits = result.rank() >= 2 && result[0] == inputs[0][0];
    for (int axis = 1; axis < result.rank(); ++axis)
        fits = fits && (result[axis] == Shape::any || (result[axis] >= 1 && result[axis] <= largest_size));
    if (!fits)
        fail(ErrorKind::shape,
             {"custom: the result must have 2 axes or more, the inputs' batch, ", inputs[0][0],
              ", as the first one, and extents of 1 to ", largest_size, " behind it, got ", result.text()});
}

} // namespace mpscnn::ops
