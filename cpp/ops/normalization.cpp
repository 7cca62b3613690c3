#include "ops/normalization.h"

#include <cmath>

namespace mpscnn::ops {

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
