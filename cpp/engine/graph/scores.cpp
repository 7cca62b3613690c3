#include "engine/graph/scores.h"

#include <array>
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

/// Return the function whose results the results of a node are.
std::optional<Scores> function_of(const Node &node) {
    if (node.activation && is_sigmoid(*node.activation)) return Scores::sigmoid;
    if (node.activation && !keeps_probabilities(*node.activation)) return std::nullopt;
    if (node.operation.is<ops::Softmax>()) return Scores::softmax;
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    return neuron && is_sigmoid(*neuron) ? std::optional(Scores::sigmoid) : std::nullopt;
}

bool only_moves(const Node &node) {
    return keeps_probabilities(node.operation) && (!node.activation || keeps_probabilities(*node.activation));
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
    std::vector<bool> needed(static_cast<std::size_t>(graph.values()));
    needed[static_cast<std::size_t>(graph.outputs()[0])] = true;
    for (ValueId value = graph.outputs()[0]; value >= 0; --value) {
        if (!needed[static_cast<std::size_t>(value)]) continue;
        if (graph.is_input(value)) return std::nullopt;
        const Node &node = graph.producer(value);
        if (const std::optional<Scores> own = function_of(node)) {
            if (found.value_or(*own) != *own) return std::nullopt;
            found = own;
        } else if (only_moves(node)) {
            for (ValueId input : node.inputs) needed[static_cast<std::size_t>(input)] = true;
        } else {
            return std::nullopt;
        }
    }
    return found;
}

} // namespace mpscnn::engine
