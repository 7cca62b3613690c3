#include "metal/encoding/lowering.h"

#include <type_traits>
#include <variant>

#include "metal/layers/convolution.h"

namespace mpscnn::metal {

using engine::Graph;
using engine::Node;
using engine::Precision;
using engine::ValueId;

namespace {

/// Statistics, and what only moves them, are not rounding points: they stay unchanged. So does what a layer
/// is reported to keep.
std::vector<Precision> image_precisions(const Graph &graph, Precision precision) {
    std::vector<Precision> result(graph.inputs().size(), precision);
    for (const Node &node : graph.nodes()) {
        bool keeps = node.keep_float32 || std::holds_alternative<ops::BatchStatistics>(node.operation);
        if (!ops::info_of(node.operation).rounds)
            for (ValueId value : node.inputs)
                keeps = keeps || result[static_cast<std::size_t>(value)] == Precision::float32;
        result.push_back(keeps ? Precision::float32 : precision);
    }
    return result;
}

std::size_t weight_bytes_of(const LayerSource &source) {
    std::size_t bytes = 0;
    for (const auto &[role, tensor] : source.node.weights) {
        const bool half = source.precision == Precision::float16 && role == "weight";
        if (role == "weight" && keeps_bytes(source))
            bytes += tensor.bytes() + tensor.ranges().size() * sizeof(engine::WeightRange);
        else
            bytes += static_cast<std::size_t>(tensor.elements()) * (half ? 2 : 4);
    }
    return bytes;
}

} // namespace

LoweredLayer lower_node(const Graph &graph, std::size_t index, Precision precision, engine::Sums sums,
                        Device &device) {
    const Node &node = graph.nodes()[index];
    LoweredLayer lowered;
    lowered.name = node.name;
    lowered.inputs = node.inputs;
    for (ValueId value : node.inputs) lowered.sources.push_back(image_of(graph, value));
    lowered.result = graph.result_of(index);
    const LayerSource source{graph, node, precision, sums};
    lowered.layer = std::visit(
        [&]<class Op>(const Op &operation) -> std::unique_ptr<Layer> {
            if constexpr (std::is_same_v<Op, ops::Custom>)
                fail(ErrorKind::state, "the Metal engine runs between functions of the program, not these");
            else
                return make_layer(operation, source, device);
        },
        node.operation);
    lowered.weight_bytes = weight_bytes_of(source);
    return lowered;
}

std::shared_ptr<const LoweredNetwork> lower_network(const Graph &graph, const engine::LowerOptions &options,
                                                    std::shared_ptr<Device> device) {
    const Precision precision = options.precision;
    device->require_usable();
    const autorelease_scope pool;
    const auto destroy = [](LoweredNetwork *owned) {
        const autorelease_scope scope;
        delete owned;
    };
    std::shared_ptr<LoweredNetwork> network(new LoweredNetwork, destroy);
    network->device = std::move(device);
    network->graph = graph.without_weights();
    network->precisions = image_precisions(graph, precision);
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        if (image_of(graph, graph.result_of(i)) != graph.result_of(i)) continue; // another's image
        const bool keeps = graph.nodes()[i].keep_float32;
        network->layers.push_back(
            lower_node(graph, i, keeps ? Precision::float32 : precision,
                       keeps ? engine::Sums::float32 : options.sums, *network->device));
        network->weight_bytes += network->layers.back().weight_bytes;
    }
    return network;
}

} // namespace mpscnn::metal
