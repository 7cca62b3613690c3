#include "engine/graph/scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/text.h"

namespace mpscnn::engine {

namespace {

using ops::NeuronKind;
using ops::PoolingKind;
using ops::ReductionKind;

/// In the order of the enumerators.
constexpr std::array names{"softmax", "sigmoid", "as is"};

bool is_sigmoid(const ops::Neuron &neuron) {
    return neuron.kind == NeuronKind::sigmoid || neuron.kind == NeuronKind::hard_sigmoid;
}

/// Limits, which some networks put around probabilities, only keep them away from 0 and 1.
bool keeps_probabilities(const ops::Neuron &neuron) {
    return neuron.kind == NeuronKind::none || neuron.kind == NeuronKind::clamp;
}

template <class... Ops> bool is_one_of(const ops::Operation &operation) {
    return (operation.is<Ops>() || ...);
}

/// True if the results of an operation are elements of its inputs, or means of them.
bool keeps_probabilities(const ops::Operation &operation) {
    if (const auto *neuron = operation.get_if<ops::Neuron>()) return keeps_probabilities(*neuron);
    if (const auto *pooling = operation.get_if<ops::Pooling>())
        return pooling->kind == PoolingKind::average || pooling->kind == PoolingKind::max;
    if (const auto *reduction = operation.get_if<ops::Reduction>())
        return reduction->kind == ReductionKind::mean || reduction->kind == ReductionKind::max ||
               reduction->kind == ReductionKind::min;
    return is_one_of<ops::ChannelShuffle, ops::Concatenation, ops::DepthToSpace, ops::Dropout, ops::Gather,
                     ops::Reshape, ops::Slice, ops::Tile, ops::Transpose>(operation);
}

/// True if a node divides a value by the sum of its channels, perhaps with a small number added, so that its
/// results add up to 1.
bool divides_by_sum(const Graph &graph, const Node &node) {
    if (!node.operation.is<ops::Division>()) return false;
    ValueId sum = node.inputs[1];
    while (!graph.is_input(sum)) {
        const Node &maker = graph.producer(sum);
        const auto *neuron = maker.operation.get_if<ops::Neuron>();
        const auto *reduction = maker.operation.get_if<ops::Reduction>();
        if (reduction && !maker.activation)
            return reduction->kind == ReductionKind::sum && reduction->axis == ops::ReductionAxis::channels &&
                   maker.inputs[0] == node.inputs[0];
        if (!neuron || maker.activation) return false;
        const bool adds = neuron->kind == NeuronKind::linear && neuron->a == 1.0f;
        if (!adds && !keeps_probabilities(*neuron)) return false;
        sum = maker.inputs[0];
    }
    return false;
}

/// Return the function whose results the results of a node are.
std::optional<Scores> function_of(const Graph &graph, const Node &node) {
    if (node.activation && is_sigmoid(*node.activation)) return Scores::sigmoid;
    if (node.activation && !keeps_probabilities(*node.activation)) return std::nullopt;
    if (node.operation.is<ops::Softmax>() || divides_by_sum(graph, node)) return Scores::softmax;
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    return neuron && is_sigmoid(*neuron) ? std::optional(Scores::sigmoid) : std::nullopt;
}

bool only_moves(const Node &node) {
    return keeps_probabilities(node.operation) && (!node.activation || keeps_probabilities(*node.activation));
}

/// Return the factors of the inputs if a node adds them or multiplies its only one by a number.
std::vector<float> factors_of(const Node &node) {
    if (node.activation) return {};
    if (const auto *neuron = node.operation.get_if<ops::Neuron>();
        neuron && neuron->kind == NeuronKind::linear && neuron->a > 0.0f && neuron->b == 0.0f)
        return {neuron->a};
    if (const auto *sum = node.operation.get_if<ops::Addition>();
        sum && sum->primary_scale > 0.0f && sum->secondary_scale > 0.0f && sum->bias == 0.0f)
        return {sum->primary_scale, sum->secondary_scale};
    return {};
}

} // namespace

const char *name_of(Scores scores) { return names[static_cast<std::size_t>(scores)]; }

Scores scores_named(std::string_view name) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (name == names[i]) return static_cast<Scores>(i);
    fail(ErrorKind::parameter, {"scores must be \"softmax\", \"sigmoid\" or \"as is\", got ", quoted(name)});
}

std::optional<Scores> scores_of(const Graph &graph) {
    if (graph.outputs().size() != 1) return std::nullopt;
    std::optional<Scores> found;
    // Values are numbered in an order in which they can be computed, so one pass backward sees each of them.
    // Each value has the factor with which it is part of the output. Those of added functions make 1 in all.
    std::vector<float> parts(static_cast<std::size_t>(graph.values()));
    parts[static_cast<std::size_t>(graph.outputs()[0])] = 1.0f;
    float whole = 0.0f;
    bool adds = false, scales = false;
    for (ValueId value = graph.outputs()[0]; value >= 0; --value) {
        const float part = parts[static_cast<std::size_t>(value)];
        if (part == 0.0f) continue;
        if (graph.is_input(value)) return std::nullopt;
        const Node &node = graph.producer(value);
        if (const std::optional<Scores> own = function_of(graph, node)) {
            if (found.value_or(*own) != *own) return std::nullopt;
            found = own;
            whole = adds ? whole + part : std::max(whole, part);
        } else if (only_moves(node)) {
            for (ValueId input : node.inputs) {
                float &share = parts[static_cast<std::size_t>(input)];
                share = std::max(share, part);
            }
        } else if (const std::vector<float> factors = factors_of(node); !factors.empty()) {
            scales = true;
            adds |= factors.size() > 1;
            for (std::size_t i = 0; i < factors.size(); ++i)
                parts[static_cast<std::size_t>(node.inputs[i])] += part * factors[i];
        } else {
            return std::nullopt;
        }
    }
    if (scales && std::abs(whole - 1.0f) > 1e-3f) return std::nullopt;
    return found;
}

} // namespace mpscnn::engine
