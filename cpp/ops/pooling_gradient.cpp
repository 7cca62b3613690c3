#include "ops/pooling_gradient.h"

#include "core/text.h"

namespace mpscnn::ops {

void PoolingGradient::check(const InputShapes &inputs) const {
    const InputShapes input = inputs.subspan(1, 1);
    pooling.check(input);
    const Shape result = pooling.output_shape(input);
    bool fits = inputs[0].rank() == result.rank();
    for (int axis = 0; fits && axis < result.rank(); ++axis)
        fits = inputs[0][axis] == result[axis] || inputs[0][axis] == Shape::any || result[axis] == Shape::any;
    if (!fits)
        fail(ErrorKind::shape, {info.name, ": input 0 must have the shape of the pooling's result, ",
                                result.text(), ", got ", inputs[0].text()});
    require_like_first(info, inputs, 2);
}

} // namespace mpscnn::ops
