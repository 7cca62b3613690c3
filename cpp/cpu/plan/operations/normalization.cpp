#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

void lower_gamma_and_beta(const OperationLowering &lowering) {
    const auto &weights = lowering.node.weights;
    if (const auto gamma = weights.find("gamma"); gamma != weights.end())
        lowering.fused.scale = padded_to_vectors(gamma->second.values());
    if (const auto beta = weights.find("beta"); beta != weights.end())
        lowering.fused.shift = padded_to_vectors(beta->second.values());
}

/// Return the number of parts into which the pixels of an image are divided for moments. A part is small
/// enough to stay in L2, because it is read twice. Only parts of very large images are larger, because there
/// are at most `max_parts`. The number of parts does not depend on the number of threads, so neither do the
/// bits of results.
std::int64_t parts_of(const Extents &extents) {
    constexpr std::int64_t floats = 1 << 15, max_parts = 256;
    const std::int64_t wanted = extents.pixels() * extents.channels / floats;
    return std::clamp<std::int64_t>(wanted, 1, std::min(max_parts, extents.pixels()));
}

/// Add the step that computes the moments (mean and squared deviations) of the operation's input. Return the
/// step's result.
Region add_moments(StepBuilder &builder, const FusedOperation &fused, const Extents &input) {
    const Region moments =
        builder.add_workspace({input.batch, parts_of(input), moments_rows, input.channels});
    builder.begin(fused, MomentsTask{}).destination = moments;
    return moments;
}

void add_statistics(StepBuilder &builder, const FusedOperation &fused, StatisticsTask task,
                    const Region &destination) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region moments = add_moments(builder, fused, input);
    task.pixels = input.pixels();
    Step &step = builder.begin(fused, task);
    step.source = moments;
    step.others = {builder.input(fused, 0)};
    step.destination = destination;
}

void add_normalization(StepBuilder &builder, const FusedOperation &fused, float epsilon,
                       const Region &statistics) {
    NormalizationTask task;
    task.gamma = fused.scale.data();
    task.beta = fused.shift.data();
    task.epsilon = epsilon;
    task.epilogue = epilogue_of(fused);
    std::vector<Region> others{statistics};
    task.reads_gamma = builder.add_variable(fused, "gamma", others);
    task.reads_beta = builder.add_variable(fused, "beta", others);
    builder.begin(fused, task).others = std::move(others);
}

/// Return the range of the sums of squares for which floats compute x / (delta + scale * sum)^exponent
/// precisely enough. `exponent` may be negative. With `bounded`, x is at most sqrt(sum). Then the inverse of
/// the power may underflow as long as x is at most 1e7, because the error of the result stays below 1e-37,
/// which does not matter.
PowerRange power_range(double scale, double delta, double exponent, bool bounded) {
    constexpr double smallest = 1e-37, small_sum = 1e-30, large_base = 1e38, bounded_sum = 1e14;
    const double reach = std::pow(smallest, -1.0 / std::max(std::fabs(exponent), 0.5));
    const double low = std::max(smallest, 1.0 / reach), high = std::min(large_base, reach);
    const auto sum_of_base = [&](double base) {
        if (scale > 0.0) return (base - delta) / scale;
        return std::copysign(std::numeric_limits<double>::infinity(), base - delta);
    };
    double lowest = 0.0, highest = sum_of_base(high);
    if (delta < std::max(low, small_sum * scale)) lowest = std::max(small_sum, sum_of_base(low));
    if (bounded && exponent > 0.0)
        highest = std::max(highest, std::min(bounded_sum, sum_of_base(large_base)));
    constexpr double maximum = std::numeric_limits<float>::max();
    return {static_cast<float>(std::clamp(lowest, 0.0, maximum)),
            static_cast<float>(std::clamp(highest, 0.0, maximum))};
}

/// Return the task of spatial or local contrast normalization, without tensors.
template <class Op>
WindowNormalizationTask window_task(const FusedOperation &fused, const Op &normalization) {
    const ops::CentredWindow &window = normalization.window;
    WindowNormalizationTask task;
    task.vertical = {window.kernel_height, window.offset_y};
    task.horizontal = {window.kernel_width, window.offset_x};
    task.clamps = window.edge == ops::EdgeRule::clamp;
    task.alpha = normalization.alpha;
    task.beta = normalization.beta;
    task.delta = normalization.delta;
    const double size = static_cast<double>(window.kernel_height) * static_cast<double>(window.kernel_width);
    constexpr bool is_bounded = std::is_same_v<Op, ops::SpatialNormalization>;
    task.range = power_range(task.alpha / size, task.delta, task.beta, is_bounded);
    task.epilogue = epilogue_of(fused);
    return task;
}

} // namespace

void lower(const OperationLowering &lowering, const ops::BatchNormalization &normalization) {
    const engine::Node &node = lowering.node;
    if (node.inputs.size() == 2) return lower_gamma_and_beta(lowering);
    const std::vector<float> mean = node.weights.at("mean").values();
    const ops::ScaleShift exact = normalization.scale_and_shift(mean, node.weights.at("variance").values(),
                                                                node.weight_or("gamma", mean.size(), 1.0f),
                                                                node.weight_or("beta", mean.size(), 0.0f));
    lowering.fused.scale = padded_to_vectors({exact.scale.begin(), exact.scale.end()});
    lowering.fused.shift = padded_to_vectors({exact.shift.begin(), exact.shift.end()});
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalization &normalization) {
    if (fused.inputs.size() == 2)
        return add_normalization(builder, fused, normalization.epsilon,
                                 builder.placement().region(fused.inputs[1]));
    AffineTask task;
    task.scale = fused.scale.data();
    task.shift = fused.shift.data();
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchStatistics &) {
    add_statistics(builder, fused, {}, builder.placement().region(fused.result));
}

void lower(const OperationLowering &lowering, const ops::GroupNormalization &) {
    lower_gamma_and_beta(lowering);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::GroupNormalization &normalization) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region statistics = builder.add_workspace({input.batch, statistics_rows, 1, input.channels});
    StatisticsTask task;
    if (normalization.groups != input.channels) task.groups = normalization.groups;
    task.epsilon = normalization.epsilon;
    add_statistics(builder, fused, task, statistics);
    add_normalization(builder, fused, normalization.epsilon, statistics);
}

void lower(const OperationLowering &lowering, const ops::LayerNormalization &) {
    lower_gamma_and_beta(lowering);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LayerNormalization &normalization) {
    LayerNormalizationTask task;
    task.gamma = fused.scale.data();
    task.beta = fused.shift.data();
    task.epsilon = normalization.epsilon;
    task.norm = normalization.norm;
    task.epsilon_rule = normalization.epsilon_rule;
    task.epilogue = epilogue_of(fused);
    std::vector<Region> others;
    task.reads_gamma = builder.add_variable(fused, "gamma", others);
    task.reads_beta = builder.add_variable(fused, "beta", others);
    builder.begin(fused, task).others = std::move(others);
}

namespace {

/// Return the task of a cross-channel normalization, without tensors and epilogue. `exponent` is the largest
/// exponent to which the base is raised.
CrossChannelTask cross_channel_task(const ops::CrossChannelNormalization &normalization,
                                    std::int64_t channels, float exponent) {
    const std::int64_t last = channels - 1;
    CrossChannelTask task;
    task.before = std::min(normalization.kernel_size / 2, last);
    task.after = std::min((normalization.kernel_size - 1) / 2, last);
    task.scale = normalization.alpha / static_cast<float>(normalization.kernel_size);
    task.beta = normalization.beta;
    task.delta = normalization.delta;
    task.range = power_range(task.scale, task.delta, exponent, true);
    return task;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalization &normalization) {
    CrossChannelTask task =
        cross_channel_task(normalization, builder.input_shape(fused).back(), normalization.beta);
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalizationGradient &gradient) {
    CrossChannelGradientTask task;
    const ops::CrossChannelNormalization &normalization = gradient.normalization;
    const float beta = normalization.beta, exponent = beta < 0.0f ? beta : beta + 1.0f;
    task.normalization = cross_channel_task(normalization, builder.input_shape(fused).back(), exponent);
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::GroupNormalizationGradient &gradient) {
    GroupGradientTask task;
    task.groups = gradient.normalization.groups;
    task.epsilon = gradient.normalization.epsilon;
    task.has_gamma = fused.inputs.size() == 3;
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LayerNormalizationGradient &gradient) {
    LayerGradientTask task;
    task.epsilon = gradient.normalization.epsilon;
    task.norm = gradient.normalization.norm;
    task.epsilon_rule = gradient.normalization.epsilon_rule;
    task.has_gamma = fused.inputs.size() == 3;
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::SpatialNormalization &normalization) {
    builder.begin(fused, window_task(fused, normalization));
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::LocalContrastNormalization &normalization) {
    WindowNormalizationTask task = window_task(fused, normalization);
    task.kind = WindowNormalizationKind::local_contrast;
    task.p0 = normalization.p0;
    task.pm = normalization.pm;
    task.ps = normalization.ps;
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
