#include <limits>

#include "cpu/operation.h"

namespace mpscnn::cpu {

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

} // namespace

OwnedActivation lower_neuron(const ops::Neuron &neuron, const engine::Node &node) {
    using Kind = Activation::Kind;
    OwnedActivation owned;
    Activation &activation = owned.activation;
    switch (neuron.kind) {
    case ops::NeuronKind::none:
        break;
    case ops::NeuronKind::relu:
    case ops::NeuronKind::relun:
        activation.kind = neuron.a == 0.0f ? Kind::clamp : Kind::leaky;
        activation.slope = neuron.a;
        activation.high = neuron.kind == ops::NeuronKind::relun ? neuron.b : infinity;
        break;
    case ops::NeuronKind::linear:
        activation.kind = Kind::linear;
        activation.slope = neuron.a;
        activation.low = neuron.b;
        break;
    case ops::NeuronKind::prelu:
        activation.kind = Kind::prelu;
        owned.slopes = padded_to_vectors(node.weights.at("slope").values());
        activation.slopes = owned.slopes.data();
        break;
    }
    return owned;
}

void lower(const OperationLowering &lowering, const ops::Neuron &neuron) {
    lowering.fused.activation = lower_neuron(neuron, lowering.node);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Neuron &) {
    AffineTask task;
    task.epilogue = epilogue_of(fused);
    builder.begin(fused, task);
}

} // namespace mpscnn::cpu
