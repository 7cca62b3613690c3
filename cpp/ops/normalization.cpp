#include "ops/normalization.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"

namespace mpscnn::ops {

namespace {

void require_epsilon(const OperationInfo &info, float epsilon) {
    if (!(epsilon > 0.0f) || !std::isfinite(epsilon))
        refuse_parameter(info, "epsilon", "above 0 and finite", epsilon);
}

/// Check alpha, beta and delta of (delta + alpha * spread)^beta, whose base must not be negative.
void require_power(const OperationInfo &info, float alpha, float beta, float delta) {
    require_not_negative(info, "alpha", alpha);
    require_finite(info, "beta", beta);
    require_not_negative(info, "delta", delta);
}

/// Return the specs of gamma and beta: one number for each channel, by default 1 and 0.
WeightSpecs gamma_and_beta(const InputShapes &inputs) {
    const Shape channels{inputs[0].back()};
    return {{"gamma", channels, false}, {"beta", channels, false}};
}

/// Throws unless the statistics have the shape of one batch, (1, 2, 1, channels), or of each image, (n, 2, 1,
/// channels).
void require_statistics(const OperationInfo &info, const Shape &input, const Shape &statistics) {
    const Shape expected{input[0], 2, 1, input.back()};
    if (statistics == expected || statistics == expected.with_batch(1)) return;
    fail(ErrorKind::shape,
         {info.name, ": input 1 must hold means and variances, ", expected.with_batch(1).text(), " or ",
          expected.text(), ", got ", statistics.text()});
}

} // namespace

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
    require_epsilon(info, epsilon);
    if (inputs.size() == 2) require_statistics(info, inputs[0], inputs[1]);
}

WeightSpecs BatchNormalization::weights(const InputShapes &inputs) const {
    const Shape channels{inputs[0].back()};
    WeightSpecs specs = gamma_and_beta(inputs);
    if (inputs.size() == 2) return specs;
    specs.push_back({"mean", channels});
    specs.push_back({"variance", channels, true, 0.0f});
    return specs;
}

void GroupNormalization::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    require_epsilon(info, epsilon);
    require_divisor(info, "groups", groups, inputs[0].back());
}

WeightSpecs GroupNormalization::weights(const InputShapes &inputs) const { return gamma_and_beta(inputs); }

void LayerNormalization::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    if (norm == VectorNorm::deviation && epsilon_rule == EpsilonRule::inside)
        return require_epsilon(info, epsilon);
    require_not_negative(info, "epsilon", epsilon);
}

WeightSpecs LayerNormalization::weights(const InputShapes &inputs) const { return gamma_and_beta(inputs); }

void CrossChannelNormalization::check(const InputShapes &inputs) const {
    require_fixed_channels(info, inputs);
    require_minimum(info, "kernel_size", kernel_size, 1);
    require_power(info, alpha, beta, delta);
}

Cost CrossChannelNormalization::cost(const InputShapes &inputs, const Shape &output) const {
    const std::int64_t taps = std::min(kernel_size, inputs[0].back());
    return {0, Shape{output.elements(), taps + 4}.elements()};
}

void CentredWindow::check(const OperationInfo &info, const InputShapes &inputs) const {
    require_rank(info, inputs, 4);
    require_fixed_channels(info, inputs);
    require_minimum(info, "kernel_height", kernel_height, 1);
    require_minimum(info, "kernel_width", kernel_width, 1);
    require_minimum(info, "offset_y", offset_y, -largest_size);
    require_minimum(info, "offset_x", offset_x, -largest_size);
    require_minimum(info, "height", height, 0);
    require_minimum(info, "width", width, 0);
    if (edge == EdgeRule::exclude) refuse_parameter(info, "edge", "zero or clamp", name_of(edge));
}

Shape CentredWindow::output_shape(const InputShapes &inputs) const {
    const Shape &input = inputs[0];
    return {input[0], height > 0 ? height : input[1], width > 0 ? width : input[2], input[3]};
}

Cost CentredWindow::cost(const InputShapes &inputs, const Shape &output) const {
    // The sums of a window's columns are computed first and shared by windows, so the cost of a result is the
    // sum of the kernel's extents.
    const std::int64_t taps = std::min(kernel_height, inputs[0][1]) + std::min(kernel_width, inputs[0][2]);
    return {0, Shape{output.elements(), taps + 4}.elements()};
}

void SpatialNormalization::check(const InputShapes &inputs) const {
    window.check(info, inputs);
    require_power(info, alpha, beta, delta);
}

void LocalContrastNormalization::check(const InputShapes &inputs) const {
    window.check(info, inputs);
    require_power(info, alpha, beta, delta);
    require_finite(info, "p0", p0);
    require_finite(info, "pm", pm);
    require_finite(info, "ps", ps);
}

} // namespace mpscnn::ops
