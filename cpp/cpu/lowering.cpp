#include "cpu/lowering.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "cpu/fusion.h"

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// Copied with zeros up to a whole vector of any instruction set.
AlignedBuffer<float> padded(const std::vector<float> &values) {
    constexpr std::size_t widest_vector = 16;
    AlignedBuffer<float> buffer((values.size() + widest_vector - 1) / widest_vector * widest_vector);
    std::fill(std::copy(values.begin(), values.end(), buffer.data()), buffer.data() + buffer.size(), 0.0f);
    return buffer;
}

OwnedActivation lower_neuron(const ops::Neuron &neuron, const Node &node) {
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
        owned.slopes = padded(node.weights.at("slope").values());
        activation.slopes = owned.slopes.data();
        break;
    }
    return owned;
}

OwnedActivation lower_activation(const Node &node) {
    return node.activation ? lower_neuron(*node.activation, node) : OwnedActivation{};
}

void round_weights(std::vector<float> &weights, const std::string &layer) {
    for (float &weight : weights) {
        const float rounded = round_to_half(weight);
        if (!std::isfinite(rounded))
            fail(ErrorKind::weights,
                 "layer " + quoted(layer) + ": weight " + std::to_string(weight) +
                     " does not fit into float16, whose largest number is 65504; use float32 "
                     "precision (batch normalization is folded into the weights)");
        weight = rounded;
    }
}

/// Builds the operations of one network.
class Lowering {
public:
    Lowering(const Graph &graph, Precision precision, const KernelTable &kernels)
        : graph_(graph), precision_(precision), kernels_(kernels) {}

    std::shared_ptr<const LoweredNetwork> run() {
        const std::vector<NodeFusion> fusions = find_fusions(graph_);
        auto network = std::make_shared<LoweredNetwork>();
        network->graph = without_weights();
        network->kernels = &kernels_;
        network->precision = precision_;
        for (std::size_t i = 0; i < fusions.size(); ++i) {
            if (fusions[i].absorbed) continue;
            network->operations.push_back(fuse(i, fusions[i]));
            network->weight_bytes += weight_bytes(network->operations.back());
        }
        return network;
    }

private:
    /// Plans need the structure; keeping the weights too would double the memory of a program.
    Graph without_weights() const {
        Graph copy(graph_.name());
        for (const engine::Input &input : graph_.inputs()) copy.add_input(input.name, input.shape);
        for (const Node &node : graph_.nodes())
            copy.add_node(node.name, node.operation, node.inputs, node.activation);
        for (ValueId value : graph_.outputs()) copy.mark_output(value);
        return copy;
    }

    bool rounds(const Node &node) const {
        return precision_ == Precision::float16 && ops::info_of(node.operation).rounds;
    }

    FusedOperation fuse(std::size_t index, const NodeFusion &fusion) const {
        const Node &node = graph_.nodes()[index];
        FusedOperation fused;
        fused.operation = node.operation;
        fused.inputs = node.inputs;
        fused.result = graph_.result_of(index);
        fused.activation = lower_activation(node);
        fused.rounds = rounds(node);
        if (fusion.border) add_border(fused, graph_.nodes()[*fusion.border]);
        fused.layers.push_back(node.name);
        if (fusion.addition) add_residual(fused, *fusion.addition);
        lower_parameters(fused, node);
        return fused;
    }

    void add_border(FusedOperation &fused, const Node &padding) const {
        fused.layers.push_back(padding.name);
        fused.border = std::get<ops::Padding>(padding.operation);
        fused.inputs = padding.inputs;
    }

    void add_residual(FusedOperation &fused, std::size_t index) const {
        const Node &addition = graph_.nodes()[index];
        fused.layers.push_back(addition.name);
        fused.residual = addition.inputs[0] == fused.result ? addition.inputs[1] : addition.inputs[0];
        fused.residual_activation = lower_activation(addition);
        fused.residual_rounds = rounds(addition);
        fused.result = graph_.result_of(index);
    }

    void lower_parameters(FusedOperation &fused, const Node &node) const {
        if (const auto *convolution = std::get_if<ops::Convolution>(&node.operation)) {
            const Shape &shape = node.weights.at("weight").shape();
            fused.packed = pack(node, {shape[0], shape[1], shape[2], shape[3]}, convolution->groups);
        } else if (std::holds_alternative<ops::FullyConnected>(node.operation)) {
            // A pointwise convolution of one pixel that has all inputs as its channels.
            const Shape &shape = node.weights.at("weight").shape();
            fused.packed = pack(node, {shape[0], 1, 1, shape.elements() / shape[0]}, 1);
        } else if (const auto *neuron = std::get_if<ops::Neuron>(&node.operation)) {
            fused.activation = lower_neuron(*neuron, node);
        } else if (const auto *normalization = std::get_if<ops::BatchNormalization>(&node.operation)) {
            lower_normalization(fused, node, *normalization);
        } else if (auto *padding = std::get_if<ops::Padding>(&fused.operation)) {
            // Tensors of a float16 network hold halves only.
            if (precision_ == Precision::float16) padding->value = round_to_half(padding->value);
        }
    }

    PackedConvolution pack(const Node &node, const Shape &shape, std::int64_t groups) const {
        std::vector<float> weights = node.weights.at("weight").values();
        // Biases stay float32, as those of MPSCNNConvolution.
        if (precision_ == Precision::float16) round_weights(weights, node.name);
        const std::vector<float> bias = node.weight_or("bias", static_cast<std::size_t>(shape[0]), 0.0f);
        return kernels_.pack_convolution(weights.data(), bias.data(), shape[0], shape[1], shape[2], shape[3],
                                         groups);
    }

    static void lower_normalization(FusedOperation &fused, const Node &node,
                                    const ops::BatchNormalization &normalization) {
        const std::vector<float> mean = node.weights.at("mean").values();
        const ops::ScaleShift exact = normalization.scale_and_shift(
            mean, node.weights.at("variance").values(), node.weight_or("gamma", mean.size(), 1.0f),
            node.weight_or("beta", mean.size(), 0.0f));
        fused.scale = padded({exact.scale.begin(), exact.scale.end()});
        fused.shift = padded({exact.shift.begin(), exact.shift.end()});
    }

    static std::size_t weight_bytes(const FusedOperation &fused) {
        const std::size_t floats = fused.packed.weights.size() + fused.packed.bias.size() +
                                   fused.scale.size() + fused.shift.size() + fused.activation.slopes.size() +
                                   fused.residual_activation.slopes.size();
        return floats * sizeof(float);
    }

    const Graph &graph_;
    Precision precision_;
    const KernelTable &kernels_;
};

} // namespace

std::shared_ptr<const LoweredNetwork> lower_network(const Graph &graph, Precision precision,
                                                    const KernelTable &kernels) {
    graph.require_complete();
    return Lowering(graph, precision, kernels).run();
}

} // namespace mpscnn::cpu
