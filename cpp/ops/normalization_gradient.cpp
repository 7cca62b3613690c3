#include "ops/normalization_gradient.h"

namespace mpscnn::ops {

namespace {

/// A gradient of the normalization's result, which has its input's shape, and gamma.
void require_gradient_and_gamma(const OperationInfo &info, const InputShapes &inputs) {
    require_result(info, inputs[0], inputs[1]);
    if (inputs.size() == 3) require_shape(info, inputs, 2, {1, inputs[1].back()}, "gamma");
}

} // namespace

void GroupNormalizationGradient::check(const InputShapes &inputs) const {
    normalization.check(inputs.subspan(1, 1));
    require_gradient_and_gamma(info, inputs);
}

void LayerNormalizationGradient::check(const InputShapes &inputs) const {
    normalization.check(inputs.subspan(1, 1));
    require_gradient_and_gamma(info, inputs);
}

} // namespace mpscnn::ops
