#include <algorithm>

#include "metal/layer.h"
#include "metal/parameters.h"

namespace mpscnn::metal {

namespace {

/// (height, width, channels) of the image that holds a value.
Shape image_shape(const Shape &shape) {
    return shape.rank() == 4 ? Shape{shape[1], shape[2], shape[3]} : Shape{1, 1, shape.back()};
}

/// Dense layers take an image of any shape: they see its elements in row-major order.
bool only_dense_layers_read(const engine::Graph &graph, engine::ValueId value) {
    const auto reads = [&](const engine::Node &node) {
        return std::find(node.inputs.begin(), node.inputs.end(), value) != node.inputs.end();
    };
    for (const engine::Node &node : graph.nodes())
        if (reads(node) && !std::holds_alternative<ops::FullyConnected>(node.operation)) return false;
    const auto &outputs = graph.outputs();
    return std::find(outputs.begin(), outputs.end(), value) == outputs.end();
}

} // namespace

engine::ValueId image_of(const engine::Graph &graph, engine::ValueId value) {
    while (!graph.is_input(value) && std::holds_alternative<ops::Reshape>(graph.producer(value).operation))
        value = graph.producer(value).inputs[0];
    return value;
}

std::optional<std::string> refusal(const ops::Reshape &operation, const LayerSource &source) {
    if (auto reason = refuse_parameters_beyond(operation, {"shape"})) return reason;
    const engine::Graph &graph = source.graph;
    const Shape given = image_shape(graph.shape(image_of(graph, source.node.inputs[0])));
    const engine::ValueId result = graph.find(source.name());
    if (given.fixed() && given == image_shape(graph.shape(result))) return std::nullopt;
    if (given.fixed() && only_dense_layers_read(graph, result)) return std::nullopt;
    return "the Metal engine reshapes (n, 1, 1, features) to (n, features) and what only dense layers read, "
           "not " +
           graph.shape(source.node.inputs[0]).text() + " to " + graph.shape(result).text();
}

} // namespace mpscnn::metal
