#include <algorithm>
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
/// enough to stay in L2, because it is read twice. The number does not depend on the number of threads, so
/// bits do not either.
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

Step &add_statistics(StepBuilder &builder, const FusedOperation &fused, StatisticsTask task,
                     const Region &destination) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region moments = add_moments(builder, fused, input);
    task.pixels = input.pixels();
    Step &step = builder.begin(fused, task);
    step.source = moments;
    step.destination = destination;
    return step;
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
    add_statistics(builder, fused, task, statistics).others = {builder.input(fused, 0)};
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

/// Return the task of a cross-channel normalization, without tensors and epilogue.
CrossChannelTask cross_channel_task(const ops::CrossChannelNormalization &normalization,
                                    std::int64_t channels) {
    const std::int64_t last = channels - 1;
    CrossChannelTask task;
    task.before = std::min(normalization.kernel_size / 2, last);
    task.after = std::min((normalization.kernel_size - 1) / 2, last);
    task.scale = normalization.alpha / static_cast<float>(normalization.kernel_size);
    task.beta = normalization.beta;
    task.delta = normalization.delta;
    return task;
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalization &normalization) {
    CrossChannelTask task = cross_channel_task(normalization, builder.input_shape(fused).back());
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::CrossChannelNormalizationGradient &gradient) {
    CrossChannelGradientTask task;
    task.normalization = cross_channel_task(gradient.normalization, builder.input_shape(fused).back());
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
