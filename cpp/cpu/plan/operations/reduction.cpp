#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Reduction &reduction) {
    const Extents input = extents_of(builder.input_shape(fused));
    ReductionTask task;
    task.kind = reduction.kind;
    std::int64_t extent = input.channels;
    task.axis = ReductionAxis::channels;
    if (reduction.axis == ops::ReductionAxis::height) {
        task.axis = ReductionAxis::height;
        extent = input.height;
    } else if (reduction.axis == ops::ReductionAxis::width) {
        task.axis = ReductionAxis::width;
        extent = input.width;
    }
    task.factor = reduction.weight;
    if (reduction.kind != ops::ReductionKind::sum) task.divisor = static_cast<float>(extent);
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Argument &argument) {
    ArgumentTask task;
    task.of_maximum = argument.kind == ops::ArgumentKind::max;
    task.round_to_half = fused.rounds;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::TopK &top) {
    TopKTask task;
    task.of_maximum = top.kind == ops::ArgumentKind::max;
    builder.begin(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::WeightedReduction &reduction) {
    WeightedReductionTask task;
    task.divides = reduction.kind == ops::WeightedReductionKind::mean;
    task.round_to_half = fused.rounds;
    builder.begin(fused, task).others = {builder.placement().region(fused.inputs[1])};
}

} // namespace mpscnn::cpu
