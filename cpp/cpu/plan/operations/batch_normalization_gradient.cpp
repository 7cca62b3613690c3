#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

void add_mask(StepBuilder &builder, const FusedOperation &fused, Step &step, RecomputedNormalization &mask) {
    if (fused.activation.activation.kind == Activation::Kind::clamp)
        add_recomputed_normalization(builder, fused, step, mask);
}

} // namespace

void add_recomputed_normalization(StepBuilder &builder, const FusedOperation &fused, Step &step,
                                  RecomputedNormalization &normalization) {
    const Activation &activation = fused.activation.activation;
    normalization.applies = true;
    if (activation.kind == Activation::Kind::clamp)
        normalization.low = activation.low, normalization.high = activation.high;
    normalization.has_gamma = builder.add_variable(fused, "gamma", step.others);
    normalization.has_beta = builder.add_variable(fused, "beta", step.others);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalizationSums &sums) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region images = builder.add_workspace({input.batch, 2, 1, input.channels});
    NormalizationSumsTask task;
    task.epsilon = sums.epsilon;
    Step &first = builder.begin_with_inputs(fused, task, 1);
    add_mask(builder, fused, first, first.task.as<NormalizationSumsTask>().mask);
    first.destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalizationGradient &gradient) {
    NormalizationGradientTask task;
    task.epsilon = gradient.epsilon;
    task.has_gamma = fused.inputs.size() == 5;
    Step &step = builder.begin_with_inputs(fused, task, 1);
    add_mask(builder, fused, step, step.task.as<NormalizationGradientTask>().mask);
}

} // namespace mpscnn::cpu
