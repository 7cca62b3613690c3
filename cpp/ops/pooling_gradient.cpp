#include "ops/pooling_gradient.h"

namespace mpscnn::ops {

void PoolingGradient::check(const InputShapes &inputs) const {
    const InputShapes input = inputs.subspan(1, 1);
    pooling.check(input);
    require_result(info, inputs[0], pooling.output_shape(input));
    require_like_first(info, inputs, 2);
}

} // namespace mpscnn::ops
