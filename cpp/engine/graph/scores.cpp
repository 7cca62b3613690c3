#include "engine/graph/scores.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "core/text.h"
#include "engine/graph/bounds.h"

namespace mpscnn::engine {

namespace {

using ops::NeuronKind;
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

/// True if the values of `magnitude` are those of `value`, or their absolute values where none is negative.
bool is_magnitude(const Graph &graph, std::span<const Bounds> bounds, ValueId magnitude, ValueId value) {
    if (magnitude == value) return true;
    if (graph.is_input(magnitude)) return false;
    const Node &maker = graph.producer(magnitude);
    const auto *neuron = maker.operation.get_if<ops::Neuron>();
    return neuron && neuron->kind == NeuronKind::absolute && !maker.activation && maker.inputs[0] == value &&
           bounds[static_cast<std::size_t>(value)].lower >= 0.0;
}

/// True if a node divides a value by the sum of its channels, perhaps with a small number added, so that its
/// results add up to 1.
bool divides_by_sum(const Graph &graph, std::span<const Bounds> bounds, const Node &node) {
    if (const auto *norm = node.operation.get_if<ops::LayerNormalization>())
        return norm->norm == ops::VectorNorm::l1_norm && node.weights.empty() &&
               bounds[static_cast<std::size_t>(node.inputs[0])].lower >= 0.0;
    if (!node.operation.is<ops::Division>()) return false;
    ValueId sum = node.inputs[1];
    while (!graph.is_input(sum)) {
        const Node &maker = graph.producer(sum);
        const auto *neuron = maker.operation.get_if<ops::Neuron>();
        const auto *reduction = maker.operation.get_if<ops::Reduction>();
        if (reduction && !maker.activation)
            return reduction->kind == ReductionKind::sum && reduction->axis == ops::ReductionAxis::channels &&
                   is_magnitude(graph, bounds, maker.inputs[0], node.inputs[0]);
        if (!neuron || maker.activation) return false;
        const bool adds = neuron->kind == NeuronKind::linear && neuron->a == 1.0f;
        if (!adds && !keeps_probabilities(*neuron)) return false;
        sum = maker.inputs[0];
    }
    return false;
}

/// Return the function whose results the results of a node are.
std::optional<Scores> function_of(const Graph &graph, std::span<const Bounds> bounds, const Node &node) {
    if (node.activation && is_sigmoid(*node.activation)) return Scores::sigmoid;
    if (node.activation && !keeps_probabilities(*node.activation)) return std::nullopt;
    if (node.operation.is<ops::Softmax>() || divides_by_sum(graph, bounds, node)) return Scores::softmax;
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    return neuron && is_sigmoid(*neuron) ? std::optional(Scores::sigmoid) : std::nullopt;
}

bool only_moves(const Node &node) {
    const auto *neuron = node.operation.get_if<ops::Neuron>();
    return (neuron ? keeps_probabilities(*neuron) : keeps_bounds(node.operation)) &&
           (!node.activation || keeps_probabilities(*node.activation));
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

/// Return the function whose results the values of the only output are.
std::optional<Scores> function_at_end(const Graph &graph, std::span<const Bounds> bounds) {
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
        if (const std::optional<Scores> own = function_of(graph, bounds, node)) {
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
    if (scales && std::fabs(whole - 1.0f) > 1e-3f) return std::nullopt;
    return found;
}

} // namespace

const char *name_of(Scores scores) { return names[static_cast<std::size_t>(scores)]; }

Scores scores_named(std::string_view name) {
    for (std::size_t i = 0; i < names.size(); ++i)
        if (name == names[i]) return static_cast<Scores>(i);
    fail(ErrorKind::parameter, {"scores must be \"softmax\", \"sigmoid\" or \"as is\", got ", quoted(name)});
}

std::optional<std::int64_t> score_count(const Shape &output) {
    const bool is_vector =
        output.rank() >= 2 && output.fixed() &&
        std::all_of(output.begin() + 1, output.end() - 1, [](std::int64_t extent) { return extent == 1; });
    return is_vector ? std::optional(output.back()) : std::nullopt;
}

std::optional<Scores> scores_of(const Graph &graph) {
    if (graph.outputs().size() != 1) return std::nullopt;
    const std::vector<Bounds> bounds = bounds_of(graph);
    if (const std::optional<Scores> function = function_at_end(graph, bounds)) return function;
    const auto &[lower, upper] = bounds[static_cast<std::size_t>(graph.outputs()[0])];
    return lower >= 0.0 && upper <= 1.0 ? std::optional(Scores::as_is) : std::nullopt;
}

} // namespace mpscnn::engine
