#include "ops/optimizer.h"

#include "core/text.h"

namespace mpscnn::ops {

namespace {

const Shape rates_shape{1, 2};

void require_share(const OperationInfo &info, const char *field, double value) {
    if (!(value >= 0.0 && value <= 1.0)) refuse_parameter(info, field, "0 to 1", value);
}

/// Throws unless inputs 1 to count - 1 have the shape of input 0.
void require_like_weights(const OperationInfo &info, const InputShapes &inputs, std::size_t count) {
    for (std::size_t i = 1; i < count; ++i) require_like_first(info, inputs, i);
}

} // namespace

void OptimizerGradient::check(const InputShapes &inputs) const {
    require_like_weights(info, inputs, 2);
    if (inputs.size() == 3) require_shape(info, inputs, 2, {1, 1}, "the factor");
    require_finite(info, "minimum", minimum);
    require_finite(info, "maximum", maximum);
    if (minimum > maximum) refuse_parameter(info, "minimum", concat({"at most maximum ", maximum}), minimum);
    require_finite(info, "rescale", rescale);
    require_not_negative(info, "regularization_scale", regularization_scale);
}

void MovingAverage::check(const InputShapes &inputs) const {
    require_like_weights(info, inputs, 2);
    require_share(info, "rate", rate);
}

void MomentumUpdate::check(const InputShapes &inputs) const {
    require_like_weights(info, inputs, 2);
    require_shape(info, inputs, 2, rates_shape, "the rates");
    require_share(info, "momentum", static_cast<double>(momentum));
}

void SgdUpdate::check(const InputShapes &inputs) const {
    require_like_weights(info, inputs, 2);
    require_shape(info, inputs, 2, rates_shape, "the rates");
    if (inputs.size() == 4) require_like_first(info, inputs, 3);
    require_share(info, "momentum", static_cast<double>(momentum));
    require_not_negative(info, "weight_decay", weight_decay);
}

void AdaptiveUpdate::check(const InputShapes &inputs) const {
    require_like_weights(info, inputs, 3);
    require_shape(info, inputs, 3, rates_shape, "the rates");
    require_not_negative(info, "epsilon", epsilon);
    require_not_negative(info, "weight_decay", weight_decay);
}

} // namespace mpscnn::ops
