#include "ops/normalization_gradient.h"

#include <cmath>
#include <cstddef>

namespace mpscnn::ops {

namespace {

/// Check the first inputs of both operations: a gradient, the normalization's input of the same shape, and
/// statistics.
void require_normalization(const OperationInfo &info, const InputShapes &inputs, float epsilon) {
    require_fixed_channels(info, inputs);
    if (!(epsilon > 0.0f) || !std::isfinite(epsilon))
        refuse_parameter(info, "epsilon", "above 0 and finite", epsilon);
    require_like_first(info, inputs, 1);
    for (std::size_t i = 2; i < inputs.size() && i < 4; ++i)
        require_shape(info, inputs, i, {1, 2, 1, inputs[0].back()});
}

} // namespace

void BatchNormalizationSums::check(const InputShapes &inputs) const {
    require_normalization(info, inputs, epsilon);
}

void BatchNormalizationGradient::check(const InputShapes &inputs) const {
    require_normalization(info, inputs, epsilon);
    if (inputs.size() == 5) require_shape(info, inputs, 4, {1, inputs[0].back()}, "gamma");
}

namespace {

/// Check the gradient of the normalization's result, which has the shape of the normalization's input, and
/// gamma.
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
