#include <utility>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

/// A kernel call that takes all inputs behind the first one as others.
Step &begin_with_others(StepBuilder &builder, const FusedOperation &fused, Task task) {
    Step &step = builder.begin(fused, std::move(task));
    for (std::size_t i = 1; i < fused.inputs.size(); ++i)
        step.others.push_back(builder.placement().region(fused.inputs[i]));
    return step;
}

} // namespace

void lower(const OperationLowering &lowering, const ops::NeuronGradient &gradient) {
    if (gradient.neuron.kind == NeuronKind::prelu)
        lowering.fused.activation.activation.kind = Activation::Kind::prelu;
    else
        lowering.fused.activation = lower_neuron(gradient.neuron, lowering.node, lowering.kernels);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::NeuronGradient &gradient) {
    NeuronGradientTask task;
    task.activation = fused.activation.activation;
    task.from_result = gradient.from_result;
    begin_with_others(builder, fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SoftmaxGradient &gradient) {
    SoftmaxGradientTask task;
    task.logarithm = gradient.logarithm;
    begin_with_others(builder, fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::PoolingGradient &gradient) {
    PoolingGradientTask task;
    task.pooling = pooling_task(gradient.pooling, builder.input_shape(fused, 1));
    begin_with_others(builder, fused, task);
}

} // namespace mpscnn::cpu
