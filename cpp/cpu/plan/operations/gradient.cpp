#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

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
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::SoftmaxGradient &gradient) {
    SoftmaxGradientTask task;
    task.logarithm = gradient.logarithm;
    builder.begin_with_inputs(fused, task);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::PoolingGradient &gradient) {
    PoolingGradientTask task;
    task.pooling = pooling_task(gradient.pooling, builder.input_shape(fused, 1));
    builder.begin_with_inputs(fused, task);
}

} // namespace mpscnn::cpu
