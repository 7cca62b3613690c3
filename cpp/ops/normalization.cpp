#include "ops/normalization.h"

#include <cmath>

namespace mpscnn::ops {

ScaleShift BatchNormalization::scale_and_shift(const std::vector<float> &mean,
                                               const std::vector<float> &variance,
                                               const std::vector<float> &gamma,
                                               const std::vector<float> &beta) const {
    ScaleShift result;
    for (std::size_t c = 0; c < mean.size(); ++c) {
        result.scale.push_back(gamma[c] / std::sqrt(static_cast<double>(variance[c]) + epsilon));
        result.shift.push_back(beta[c] - mean[c] * result.scale[c]);
    }
    return result;
}

void BatchNormalization::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    if (!(epsilon > 0.0f) || !std::isfinite(epsilon))
        refuse_parameter(info, "epsilon", "above 0 and finite", std::to_string(epsilon));
}

WeightSpecs BatchNormalization::weights(const InputShapes &inputs) const {
    const Shape channels{inputs[0].back()};
    return {{"gamma", channels, false},
            {"beta", channels, false},
            {"mean", channels},
            {"variance", channels, true, 0.0f}};
}

} // namespace mpscnn::ops
