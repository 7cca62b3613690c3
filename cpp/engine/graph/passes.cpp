#include "engine/graph/passes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/unsupported.h"

namespace mpscnn::engine {

namespace {

/// Call visit(value) for each value that a node reads.
template <class Visit> void for_each_argument(const Node &node, Visit visit) {
    for (ValueId value : node.inputs) visit(value);
    for (const auto &variable : node.variables) visit(variable.second);
}

/// Copy a graph with all inputs and the `kept` ones of `nodes`, which replace the graph's own nodes.
Graph copy_kept(const Graph &graph, const std::vector<Node> &nodes, const std::vector<bool> &kept,
                const std::vector<ValueId> &outputs) {
    Graph result(graph.name());
    std::vector<ValueId> renumbered(static_cast<std::size_t>(graph.values()), -1);
    const auto renumber = [&](ValueId value) { return renumbered[static_cast<std::size_t>(value)]; };
    for (std::size_t i = 0; i < graph.inputs().size(); ++i)
        renumbered[i] = graph.inputs()[i].is_variable
                            ? result.add_variable(graph.inputs()[i].name, graph.inputs()[i].shape)
                            : result.add_input(graph.inputs()[i].name, graph.inputs()[i].shape);
    for (std::size_t i = 0; i < graph.inputs().size(); ++i) {
        if (const auto &quantization = graph.inputs()[i].quantization)
            result.quantize(renumbered[i], *quantization);
        result.allow_sizes(renumbered[i], graph.inputs()[i].sizes);
    }
    for (std::size_t i = 0; i < nodes.size(); ++i) {
        if (!kept[i]) continue;
        const Node &node = nodes[i];
        std::vector<ValueId> inputs;
        for (ValueId value : node.inputs) inputs.push_back(renumber(value));
        const ValueId value = result.add_node(node.name, node.operation, std::move(inputs), node.activation);
        result.adopt_weights(value, node.weights);
        for (const auto &[role, variable] : node.variables)
            result.use_variable(value, role, renumber(variable));
        result.keep_float32(value, node.keep_float32);
        if (node.quantization) result.quantize(value, *node.quantization);
        renumbered[static_cast<std::size_t>(graph.result_of(i))] = value;
    }
    for (ValueId value : outputs) result.mark_output(renumber(value));
    return result;
}

/// True if each output channel has its own weights, along the first axis of the operation's "weight".
bool has_weights_of_each_output(const ops::Operation &operation) {
    return operation.is<ops::Convolution>() || operation.is<ops::FullyConnected>() ||
           operation.is<ops::TransposedConvolution>();
}

/// True if a neuron changes none of the integers: it only clamps, and its limits contain all of them.
bool lets_pass_all(const ops::Neuron &neuron, const Quantization &integers) {
    if (!ops::has_limits_only(neuron)) return false;
    if (neuron.kind == ops::NeuronKind::none) return true;
    constexpr float infinity = std::numeric_limits<float>::infinity();
    const bool is_clamp = neuron.kind == ops::NeuronKind::clamp;
    const float low = is_clamp ? neuron.lower_limit() : 0.0f, high = is_clamp ? neuron.upper_limit()
                                                                     : neuron.kind == ops::NeuronKind::relun
                                                                         ? neuron.b
                                                                         : infinity;
    const auto integer = [&](float end) {
        return static_cast<double>(std::round(end / integers.scale)) + integers.zero_point;
    };
    return integer(low) <= integers.lowest() && integer(high) >= integers.highest();
}

/// Merges nodes into the nodes that compute their inputs. The result of a merged node becomes an alias of its
/// first input.
class Merger {
public:
    Merger(const Graph &graph, Merging merging)
        : graph_(graph), merging_(merging), nodes_(graph.nodes()), merged_(nodes_.size(), false) {
        for (ValueId value = 0; value < graph.values(); ++value) alias_.push_back(value);
        uses_.assign(alias_.size(), 0);
        for (const Node &node : nodes_)
            for_each_argument(node, [&](ValueId value) { ++uses_[index(value)]; });
        for (ValueId value : graph.outputs()) ++uses_[index(value)];
    }

    Canonical run() {
        for (std::size_t i = 0; i < nodes_.size(); ++i) {
            for (ValueId &value : nodes_[i].inputs) value = alias_[index(value)];
            for (auto &variable : nodes_[i].variables) variable.second = alias_[index(variable.second)];
            if (drop_dropout(i) || drop_identity(i)) {
                merge(i);
            } else if (merging_ != Merging::of_integers && !changes_type(i) &&
                       (fold_batch_normalization(i) || attach_neuron(i))) {
                merge(i);
                producer_of(i).keep_float32 |= nodes_[i].keep_float32;
            }
        }
        return {rebuild(), std::move(names_)};
    }

private:
    static std::size_t index(ValueId value) { return static_cast<std::size_t>(value); }

    /// Return the node that computes the first input of node i. Return null if other nodes read that value,
    /// too, or if the computing node already has an activation.
    Node *sole_producer(std::size_t i) {
        const ValueId value = nodes_[i].inputs[0];
        if (graph_.is_input(value) || uses_[index(value)] != 1) return nullptr;
        Node &producer = producer_of(i);
        return producer.activation ? nullptr : &producer;
    }

    /// Return the node that computes the first input of node i.
    Node &producer_of(std::size_t i) { return nodes_[index(nodes_[i].inputs[0]) - graph_.inputs().size()]; }

    bool drop_dropout(std::size_t i) const;
    bool drop_identity(std::size_t i) const;
    bool changes_type(std::size_t i) const;
    bool fold_batch_normalization(std::size_t i);
    bool attach_neuron(std::size_t i);

    void merge(std::size_t i) {
        merged_[i] = true;
        const ValueId own = graph_.result_of(i), into = nodes_[i].inputs[0];
        names_[graph_.value_name(into)].push_back(nodes_[i].name);
        alias_[index(own)] = into;
        uses_[index(into)] += uses_[index(own)] - 1;
    }

    Graph rebuild() const {
        std::vector<bool> kept(merged_);
        kept.flip();
        std::vector<ValueId> outputs;
        for (ValueId value : graph_.outputs()) outputs.push_back(alias_[index(value)]);
        return copy_kept(graph_, nodes_, kept, outputs);
    }

    const Graph &graph_;
    const Merging merging_;
    std::vector<Node> nodes_;
    std::vector<bool> merged_;
    std::vector<ValueId> alias_; ///< for each value of the graph, the value that replaces it
    std::vector<int> uses_;
    std::map<std::string, std::vector<std::string>> names_;
};

/// True for a dropout that can be removed: it does nothing outside of training. A dropout whose result is an
/// output is kept, because its input may be an output too.
bool Merger::drop_dropout(std::size_t i) const {
    const auto *dropout = nodes_[i].operation.get_if<ops::Dropout>();
    return dropout && !dropout->training && !graph_.is_output(graph_.result_of(i));
}

/// True for a neuron that can be removed because it changes nothing. In networks of floats this is a neuron
/// of kind `none`, which is only there to change the scale of integers in int8 networks. In int8 networks it
/// is a neuron that keeps the scale, and that clamps to limits that contain all integers.
bool Merger::drop_identity(std::size_t i) const {
    const Node &node = nodes_[i];
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    const ValueId source = node.inputs[0];
    if (!neuron || graph_.is_output(graph_.result_of(i)) || graph_.is_input(source)) return false;
    if (merging_ != Merging::of_integers) return neuron->kind == ops::NeuronKind::none && !changes_type(i);
    const Node &producer = nodes_[index(source) - graph_.inputs().size()];
    return node.quantization && producer.quantization && *node.quantization == *producer.quantization &&
           !node.keep_float32 && !producer.keep_float32 && !node.activation &&
           lets_pass_all(*neuron, *node.quantization);
}

/// True for a neuron of kind `none` if either it or the layer before it, but not both, is kept in float32.
bool Merger::changes_type(std::size_t i) const {
    const Node &node = nodes_[i];
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    if (merging_ != Merging::of_halves || !neuron || neuron->kind != ops::NeuronKind::none) return false;
    const ValueId source = node.inputs[0];
    return !graph_.is_input(source) &&
           nodes_[index(source) - graph_.inputs().size()].keep_float32 != node.keep_float32;
}

bool Merger::fold_batch_normalization(std::size_t i) {
    Node &node = nodes_[i];
    const auto *normalization = node.operation.get_if<ops::BatchNormalization>();
    if (!normalization || node.inputs.size() != 1) return false;
    Node *producer = sole_producer(i);
    if (!producer || !has_weights_of_each_output(producer->operation)) return false;
    if (!node.variables.empty() || !producer->variables.empty()) return false;
    WeightTensor &weight = producer->weights.at("weight");
    const auto channels = static_cast<std::size_t>(weight.shape()[0]);
    std::vector<float> bias = producer->weight_or("bias", channels, 0.0f);
    const ops::ScaleShift folded = normalization->scale_and_shift(
        node.weights.at("mean").values(), node.weights.at("variance").values(),
        node.weight_or("gamma", channels, 1.0f), node.weight_or("beta", channels, 0.0f));
    for (std::size_t c = 0; c < channels; ++c)
        bias[c] = static_cast<float>(bias[c] * folded.scale[c] + folded.shift[c]);
    const auto scaled = weight.scaled(folded.scale);
    if (!scaled || !std::all_of(bias.begin(), bias.end(), [](float x) { return std::isfinite(x); }))
        fail(ErrorKind::weights,
             {"layer ", quoted(node.name), ": folding it into layer ", quoted(producer->name),
              " gives weights beyond float32; its variance is too small"});
    weight = *scaled;
    producer->weights["bias"] = WeightTensor::from_floats({weight.shape()[0]}, std::move(bias));
    producer->activation = node.activation;
    if (const auto slope = node.weights.find("slope"); slope != node.weights.end())
        producer->weights["slope"] = slope->second;
    return true;
}

bool Merger::attach_neuron(std::size_t i) {
    Node &node = nodes_[i];
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    if (!neuron) return false;
    Node *producer = sole_producer(i);
    if (!producer || !ops::info_of(producer->operation).takes_activation) return false;
    if (!node.variables.empty() || (!node.weights.empty() && !producer->variables.empty())) return false;
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
            for_each_argument(graph.nodes()[i],
                              [&](ValueId value) { needed[static_cast<std::size_t>(value)] = true; });

    const auto first_node = needed.begin() + static_cast<std::ptrdiff_t>(graph.inputs().size());
    return copy_kept(graph, graph.nodes(), std::vector<bool>(first_node, needed.end()), wanted);
}

Canonical canonicalise(const Graph &graph, Merging merging) { return Merger(graph, merging).run(); }

} // namespace mpscnn::engine
