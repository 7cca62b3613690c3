#include "metal/lowering.h"

#include <type_traits>

#include "ops/refusals.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

// What has no overload in layer.h: programs refuse it before.
template <class Operation>
std::unique_ptr<Layer> make_layer(const Operation &, const LayerSource &source, Device &) {
    constexpr bool reshape = std::is_same_v<Operation, ops::Reshape>; // skipped by lower_network
    static_assert(reshape || ops::is_missing("metal", Operation::info.name),
                  "an operation without a layer must be listed in ops/refusals.h");
    fail(ErrorKind::state, "layer " + quoted(source.name()) + " has no layer on Metal");
}

/// Plans need the structure only.
Graph without_weights(const Graph &graph) {
    Graph copy(graph.name());
    for (const engine::Input &input : graph.inputs()) copy.add_input(input.name, input.shape);
    for (const Node &node : graph.nodes())
        copy.add_node(node.name, node.operation, node.inputs, node.activation);
    for (ValueId value : graph.outputs()) copy.mark_output(value);
    return copy;
}

std::size_t weight_bytes_of(const Node &node, Precision precision) {
    std::size_t bytes = 0;
    for (const auto &[role, tensor] : node.weights) {
        const bool half = precision == Precision::float16 && role == "weight";
        bytes += static_cast<std::size_t>(tensor.elements()) * (half ? 2 : 4);
    }
    return bytes;
}

LoweredLayer lower_node(const Graph &graph, std::size_t index, Precision precision, Device &device) {
    const Node &node = graph.nodes()[index];
    LoweredLayer lowered;
    lowered.name = node.name;
    for (ValueId value : node.inputs) lowered.sources.push_back(graph.unreshaped(value));
    lowered.result = graph.result_of(index);
    lowered.layer = std::visit(
        [&](const auto &operation) {
            return make_layer(operation, LayerSource{graph, node, precision}, device);
        },
        node.operation);
    return lowered;
}

} // namespace

std::shared_ptr<const LoweredNetwork> lower_network(const Graph &graph, Precision precision,
                                                    std::shared_ptr<Device> device) {
    const autorelease_scope pool;
    const auto destroy = [](LoweredNetwork *owned) {
        const autorelease_scope scope;
        delete owned;
    };
    std::shared_ptr<LoweredNetwork> network(new LoweredNetwork, destroy);
    network->device = std::move(device);
    network->graph = without_weights(graph);
    network->precision = precision;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        if (std::holds_alternative<ops::Reshape>(node.operation)) continue; // makes no image
        network->layers.push_back(lower_node(graph, i, precision, *network->device));
        network->weight_bytes += weight_bytes_of(node, precision);
    }
    return network;
}

} // namespace mpscnn::metal
