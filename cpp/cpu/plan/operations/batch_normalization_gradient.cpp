#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalizationSums &sums) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region images = builder.add_workspace({input.batch, 2, 1, input.channels});
    NormalizationSumsTask task;
    task.epsilon = sums.epsilon;
    const auto region = [&](std::size_t i) { return builder.placement().region(fused.inputs[i]); };
    Step &first = builder.begin(fused, task);
    first.source = region(1);
    first.others = {region(0), region(2)};
    first.destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalizationGradient &gradient) {
    NormalizationGradientTask task;
    task.epsilon = gradient.epsilon;
    task.has_gamma = fused.inputs.size() == 5;
    Step &step = builder.begin(fused, task);
    const auto region = [&](std::size_t i) { return builder.placement().region(fused.inputs[i]); };
    step.source = region(1);
    step.others = {region(0), region(2), region(3)};
    if (task.has_gamma) step.others.push_back(region(4));
}

} // namespace mpscnn::cpu
