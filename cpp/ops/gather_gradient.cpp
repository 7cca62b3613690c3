#include "ops/gather_gradient.h"

namespace mpscnn::ops {

void GatherGradient::check(const InputShapes &inputs) const {
    require_image_or_less(info, inputs[0]);
    require_at_least(info, "extent", extent, 1);
    const Shape &gradient = inputs[0];
    if (gather.axis < -gradient.rank() || gather.axis >= gradient.rank()) gather.check(inputs); // says why
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
