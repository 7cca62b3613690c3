#include "ops/batch_normalization_gradient.h"

#include <cmath>
#include <cstddef>

namespace mpscnn::ops {

namespace {

/// The first inputs of both operations: a gradient, an input of its shape, and statistics.
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

} // namespace mpscnn::ops
