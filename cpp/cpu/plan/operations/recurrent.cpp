#include <utility>
#include <vector>

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

namespace {

Activation function_of(const ops::GateFunction &function, const OperationLowering &lowering) {
    return lower_neuron(function.neuron(), lowering.node, lowering.kernels).activation;
}

RecurrentLayer layer_of(const ops::Lstm &lstm, const OperationLowering &lowering) {
    RecurrentLayer layer;
    layer.kind = RecurrentLayer::Kind::lstm;
    layer.reverse = lstm.reverse;
    layer.gate = function_of(lstm.gate, lowering);
    layer.candidate = function_of(lstm.candidate, lowering);
    layer.output = function_of(lstm.output, lowering);
    return layer;
}

RecurrentLayer layer_of(const ops::Gru &gru, const OperationLowering &lowering) {
    RecurrentLayer layer;
    layer.kind = gru.reset_after ? RecurrentLayer::Kind::gru_after : RecurrentLayer::Kind::gru_before;
    layer.reverse = gru.reverse;
    layer.gate = function_of(gru.gate, lowering);
    layer.candidate = function_of(gru.candidate, lowering);
    return layer;
}

/// Compute the number of units from the shape of the node's input number `sums`, whose last axis has all
/// gates of all units.
void set_units(const OperationLowering &lowering, std::size_t sums, RecurrentLayer &layer) {
    layer.units = lowering.graph.shape(lowering.node.inputs[sums]).back() / layer.gates();
}

template <class Op> void lower_layer(const OperationLowering &lowering, const Op &operation) {
    RecurrentLayer &layer = lowering.fused.recurrent = layer_of(operation, lowering);
    set_units(lowering, 0, layer);
    layer.has_states = lowering.node.inputs.size() > 1;
    layer.reads_weights = !lowering.node.variables.empty();
    if (layer.reads_weights) return;
    PackedConvolution &packed = lowering.fused.packed;
    packed.weights = lowering.memory.packed.take(lowering.kernels.recurrent_packed_size(layer));
    layer.packed = packed.weights.data();
    // Round the weights in float16 networks only. In bfloat16 networks, products of states are float32.
    if (lowering.precision == engine::Precision::float16)
        lowering.kernels.pack_recurrent(layer, lowering.weights().data(), packed.weights.data());
    else
        lowering.kernels.pack_recurrent(layer, lowering.node.weights.at("weight").values().data(),
                                        packed.weights.data());
    if (layer.kind != RecurrentLayer::Kind::gru_after) return;
    lowering.fused.shift = padded_to_vectors(lowering.node.weights.at("bias").values());
    layer.bias = lowering.fused.shift.data();
}

template <class Op> void lower_gradient(const OperationLowering &lowering, const Op &operation) {
    RecurrentLayer &layer = lowering.fused.recurrent = layer_of(operation, lowering);
    set_units(lowering, 1, layer);
    const std::size_t without_states = layer.kind == RecurrentLayer::Kind::gru_after ? 5 : 4;
    layer.has_states = lowering.node.inputs.size() > without_states;
}

void make_layer_step(StepBuilder &builder, const FusedOperation &fused) {
    RecurrentTask task;
    task.layer = fused.recurrent;
    task.round_to_half = fused.rounds;
    std::vector<Region> others;
    builder.add_variable(fused, "weight", others);
    builder.add_variable(fused, "bias", others);
    for (std::size_t i = 1; i < fused.inputs.size(); ++i) others.push_back(builder.input(fused, i));
    builder.begin(fused, task).others = std::move(others);
}

void make_gradient_step(StepBuilder &builder, const FusedOperation &fused) {
    RecurrentGradientTask task;
    task.layer = fused.recurrent;
    builder.begin_with_inputs(fused, task);
}

} // namespace

void lower(const OperationLowering &lowering, const ops::Lstm &layer) { lower_layer(lowering, layer); }
void lower(const OperationLowering &lowering, const ops::Gru &layer) { lower_layer(lowering, layer); }
void lower(const OperationLowering &lowering, const ops::LstmGradient &gradient) {
    lower_gradient(lowering, gradient.lstm);
}
void lower(const OperationLowering &lowering, const ops::GruGradient &gradient) {
    lower_gradient(lowering, gradient.gru);
}

void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Lstm &) {
    make_layer_step(builder, fused);
}
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::Gru &) {
    make_layer_step(builder, fused);
}
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::LstmGradient &) {
    make_gradient_step(builder, fused);
}
void make_step(StepBuilder &builder, const FusedOperation &fused, const ops::GruGradient &) {
    make_gradient_step(builder, fused);
}

} // namespace mpscnn::cpu
