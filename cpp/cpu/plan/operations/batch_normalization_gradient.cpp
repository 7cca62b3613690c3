#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::BatchNormalizationSums &sums) {
    const Extents input = extents_of(builder.input_shape(fused));
    const Region images = builder.add_workspace({input.batch, 2, 1, input.channels});
    NormalizationSumsTask task;
    task.epsilon = sums.epsilon;
    builder.begin_with_inputs(fused, task, 1).destination = images;
    builder.begin(fused, SumTask{}).source = images;
}

void make_step(StepBuilder &builder, const FusedOperation &fused,
               const ops::BatchNormalizationGradient &gradient) {
    NormalizationGradientTask task;
    task.epsilon = gradient.epsilon;
    task.has_gamma = fused.inputs.size() == 5;
    builder.begin_with_inputs(fused, task, 1);
}

} // namespace mpscnn::cpu
