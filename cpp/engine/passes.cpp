#include "engine/passes.h"

#include <algorithm>
#include <cmath>
#include <variant>

namespace mpscnn::engine {

namespace {

/// Rewrites nodes into their producers; positions of merged nodes become aliases of the value they join.
class Merger {
public:
    explicit Merger(const Graph &graph)
        : graph_(graph), nodes_(graph.nodes()), merged_(nodes_.size(), false) {
        for (ValueId value = 0; value < graph.values(); ++value) alias_.push_back(value);
        uses_.assign(alias_.size(), 0);
        for (const Node &node : nodes_)
            for (ValueId value : node.inputs) ++uses_[index(value)];
        for (ValueId value : graph.outputs()) ++uses_[index(value)];
    }

    Graph run() {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            for (ValueId &value : nodes_[i].inputs) value = alias_[index(value)];
            if (fold_batch_normalization(i) || attach_neuron(i)) merge(i);
        }
        return rebuild();
    }

private:
    static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }

    /// The node whose result only node i reads, when it can still take something over.
    Node *sole_producer(std::size_t i) {
        const ValueId value = nodes_[i].inputs[0];
        if (graph_.is_input(value) || uses_[index(value)] != 1) return nullptr;
        Node &producer = nodes_[index(value) - graph_.inputs().size()];
        return producer.activation ? nullptr : &producer;
    }

    bool fold_batch_normalization(std::size_t i);
    bool attach_neuron(std::size_t i);

    void merge(std::size_t i) {
        merged_[i] = true;
        const ValueId own = graph_.result_of(i), into = nodes_[i].inputs[0];
        alias_[index(own)] = into;
        uses_[index(into)] = uses_[index(own)];
    }

    Graph rebuild() const {
        Graph result(graph_.name());
        std::vector<ValueId> renumbered(alias_.size(), -1);
        for (std::size_t i = 0; i < graph_.inputs().size(); ++i)
            renumbered[i] = result.add_input(graph_.inputs()[i].name, graph_.inputs()[i].shape);
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            if (merged_[i]) continue;
            const Node &node = nodes_[i];
            std::vector<ValueId> inputs;
            for (ValueId value : node.inputs) inputs.push_back(renumbered[index(value)]);
            const ValueId value =
                result.add_node(node.name, node.operation, std::move(inputs), node.activation);
            result.adopt_weights(value, node.weights);
            renumbered[index(graph_.result_of(i))] = value;
        }
        for (ValueId value : graph_.outputs()) result.mark_output(renumbered[index(alias_[index(value)])]);
        return result;
    }

    const Graph &graph_;
    std::vector<Node> nodes_;
    std::vector<bool> merged_;
    std::vector<ValueId> alias_; ///< where each value of the graph is found now
    std::vector<int> uses_;
};

std::vector<float> values_or(const Node &node, const char *role, std::size_t count, float otherwise) {
    const auto found = node.weights.find(role);
    return found == node.weights.end() ? std::vector<float>(count, otherwise) : found->second.values();
}

bool Merger::fold_batch_normalization(std::size_t i) {
    Node &node = nodes_[i];
    const auto *normalization = std::get_if<ops::BatchNormalization>(&node.operation);
    if (!normalization) return false;
    Node *producer = sole_producer(i);
    if (!producer) return false;
    if (!std::holds_alternative<ops::Convolution>(producer->operation) &&
        !std::holds_alternative<ops::FullyConnected>(producer->operation))
        return false;
    const Shape shape = producer->weights.at("weight").shape();
    const auto channels = static_cast<std::size_t>(shape[0]);
    std::vector<float> weight = producer->weights.at("weight").values();
    std::vector<float> bias = values_or(*producer, "bias", channels, 0.0f);
    const ops::ScaleShift folded = normalization->scale_and_shift(
        node.weights.at("mean").values(), node.weights.at("variance").values(),
        values_or(node, "gamma", channels, 1.0f), values_or(node, "beta", channels, 0.0f));
    const std::size_t taps = weight.size() / channels;
    for (std::size_t c = 0; c < channels; ++c) {
        for (std::size_t t = c * taps; t < (c + 1) * taps; ++t)
            weight[t] = static_cast<float>(weight[t] * folded.scale[c]);
        bias[c] = static_cast<float>(bias[c] * folded.scale[c] + folded.shift[c]);
    }
    const auto finite = [](float x) { return std::isfinite(x); };
    if (!std::all_of(weight.begin(), weight.end(), finite) || !std::all_of(bias.begin(), bias.end(), finite))
        fail(ErrorKind::weights, "layer " + quoted(node.name) + ": folding it into layer " +
                                     quoted(producer->name) +
                                     " gives weights beyond float32; its variance is too small");
    producer->weights["weight"] = WeightTensor::from_floats(shape, std::move(weight));
    producer->weights["bias"] = WeightTensor::from_floats({shape[0]}, std::move(bias));
    producer->activation = node.activation;
    if (const auto slope = node.weights.find("slope"); slope != node.weights.end())
        producer->weights["slope"] = slope->second;
    return true;
}

bool Merger::attach_neuron(std::size_t i) {
    Node &node = nodes_[i];
    const auto *neuron = std::get_if<ops::Neuron>(&node.operation);
    if (!neuron) return false;
    Node *producer = sole_producer(i);
    if (!producer || !ops::info_of(producer->operation).takes_activation) return false;
    producer->activation = *neuron;
    for (const auto &[role, tensor] : node.weights) producer->weights[role] = tensor;
    return true;
}

} // namespace

Graph extract(const Graph &graph, const std::vector<ValueId> &wanted) {
    std::vector<bool> needed(static_cast<std::size_t>(graph.values()), false);
    for (ValueId value : wanted) needed[static_cast<std::size_t>(value)] = true;
    for (std::size_t i = graph.nodes().size(); i-- > 0;)
        if (needed[static_cast<std::size_t>(graph.result_of(i))])
            for (ValueId value : graph.nodes()[i].inputs) needed[static_cast<std::size_t>(value)] = true;

    Graph result(graph.name());
    std::vector<ValueId> renumbered(needed.size(), -1);
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        renumbered[i] = result.add_input(graph.inputs()[i].name, graph.inputs()[i].shape);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const auto value = static_cast<std::size_t>(graph.result_of(i));
        if (!needed[value]) continue;
        const Node &node = graph.nodes()[i];
        std::vector<ValueId> inputs;
        for (ValueId input : node.inputs) inputs.push_back(renumbered[static_cast<std::size_t>(input)]);
        renumbered[value] = result.add_node(node.name, node.operation, std::move(inputs), node.activation);
        result.adopt_weights(renumbered[value], node.weights);
    }
    for (ValueId value : wanted) result.mark_output(renumbered[static_cast<std::size_t>(value)]);
    return result;
}

Graph canonicalise(const Graph &graph) { return Merger(graph).run(); }

} // namespace mpscnn::engine
