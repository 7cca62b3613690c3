#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// Adds what the mask reads behind the others of the step's task.
void add_mask(StepBuilder &builder, const FusedOperation &fused, Step &step, NormalizationMask &mask) {
    const Activation &activation = fused.activation.activation;
    mask.applies = activation.kind == Activation::Kind::clamp;
    if (!mask.applies) return;
    mask.low = activation.low;
    mask.high = activation.high;
    mask.has_gamma = builder.add_variable(fused, "gamma", step.others);
    mask.has_beta = builder.add_variable(fused, "beta", step.others);
}

} // namespace

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalizationSums &sums) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region images = builder.add_workspace({input.batch, 2, 1, input.channels});
    NormalizationSumsTask task;
    task.epsilon = sums.epsilon;
    Step &first = builder.begin_with_inputs(fused, task, 1);
    add_mask(builder, fused, first, std::get<NormalizationSumsTask>(first.task).mask);
    first.destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalizationGradient &gradient) {
    NormalizationGradientTask task;
    task.epsilon = gradient.epsilon;
    task.has_gamma = fused.inputs.size() == 5;
    Step &step = builder.begin_with_inputs(fused, task, 1);
    add_mask(builder, fused, step, std::get<NormalizationGradientTask>(step.task).mask);
}

} // namespace mpscnn::cpu
