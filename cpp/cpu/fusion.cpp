#include "cpu/fusion.h"

#include <algorithm>

namespace mpscnn::cpu {

using engine::Graph;
using engine::Node;
using engine::ValueId;

namespace {

/// How often each value is read, being an output of the graph included.
std::vector<int> count_uses(const Graph &graph) {
    std::vector<int> uses(static_cast<std::size_t>(graph.values()), 0);
    for (const Node &node : graph.nodes())
        for (ValueId value : node.inputs) ++uses[static_cast<std::size_t>(value)];
    for (ValueId value : graph.outputs()) ++uses[static_cast<std::size_t>(value)];
    return uses;
}

bool multiplies_weights(const Node &node) {
    return std::holds_alternative<ops::Convolution>(node.operation) ||
           std::holds_alternative<ops::FullyConnected>(node.operation);
}

/// Zeros around the image, which a convolution's window reads anyway. What is cropped it would read too.
bool is_zero_border(const Node &node) {
    const auto *padding = std::get_if<ops::Padding>(&node.operation);
    return padding && padding->mode == ops::PaddingMode::constant && padding->values.empty() &&
           padding->value == 0.0f && padding->front == 0 && padding->back == 0 && padding->top >= 0 &&
           padding->bottom >= 0 && padding->left >= 0 && padding->right >= 0;
}

} // namespace

std::vector<NodeFusion> find_fusions(const Graph &graph, const TakesResidual &takes_residual) {
    const std::vector<int> uses = count_uses(graph);
    std::vector<NodeFusion> fusions(graph.nodes().size());
    /// The node whose result nothing but one reader needs.
    const auto sole_producer = [&](ValueId value) -> std::optional<std::size_t> {
        if (graph.is_input(value) || uses[static_cast<std::size_t>(value)] != 1) return std::nullopt;
        return static_cast<std::size_t>(value) - graph.inputs().size();
    };
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        if (std::holds_alternative<ops::Convolution>(node.operation)) {
            const auto border = sole_producer(node.inputs[0]);
            if (!border || !is_zero_border(graph.nodes()[*border])) continue;
            fusions[*border].absorbed = true;
            fusions[i].border = border;
        } else if (const auto *sum = std::get_if<ops::Addition>(&node.operation); sum && sum->is_plain()) {
            // The operand computed last: by then the other one exists.
            const auto last = sole_producer(std::max(node.inputs[0], node.inputs[1]));
            if (!last || !multiplies_weights(graph.nodes()[*last])) continue;
            if (!takes_residual(*last, std::min(node.inputs[0], node.inputs[1]))) continue;
            fusions[i].absorbed = true;
            fusions[*last].addition = i;
        }
    }
    return fusions;
}

} // namespace mpscnn::cpu
