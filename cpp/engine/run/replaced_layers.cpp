#include "engine/run/replaced_layers.h"

#include <algorithm>
#include <optional>

#include "core/json.h"
#include "core/text.h"
#include "engine/run/staged_graph.h"

namespace mpscnn::engine {

namespace {

bool hands_on_float32(const Graph &graph) {
    return std::any_of(graph.nodes().begin(), graph.nodes().end(), [](const Node &node) {
        return node.keep_float32 || node.operation.is<ops::BatchStatistics>();
    });
}

/// Return the input shapes of a graph for one image, or nothing if other extents are free, too.
std::optional<std::vector<Shape>> shapes_for_one_image(const Graph &graph) {
    std::vector<Shape> shapes;
    for (const Input &input : graph.inputs()) {
        const Shape shape = input.shape[0] == Shape::any ? input.shape.with_batch(1) : input.shape;
        for (int axis = 0; axis < shape.rank(); ++axis)
            if (shape[axis] == Shape::any) return std::nullopt;
        shapes.push_back(shape);
    }
    return shapes;
}

/// Return why the backend has no implementation for a graph, or nothing if it has one.
std::optional<std::string> missing_implementation(const Graph &graph, const Backend &backend,
                                                  const LowerOptions &options) {
    try {
        const auto lowered = backend.lower(graph, options);
        if (const auto shapes = shapes_for_one_image(graph)) lowered->plan(*shapes);
        return std::nullopt;
    } catch (const Error &error) {
        if (error.kind() != ErrorKind::unsupported) throw;
        return error.what();
    }
}

/// Return why a layer with free extents cannot stay on the device, or nothing. The extents of a later run
/// decide which implementation it uses, so none of its implementations may be refused.
std::optional<std::string> why_not_for_all_extents(const Node &node, const Backend &backend) {
    const std::string own = concat({ops::info_of(node.operation).name, " by "});
    for (const auto &[name, reason] : backend.implementations().refused())
        if (name.starts_with(own)) return concat({"layer ", quoted(node.name), ": ", name, ": ", reason});
    return std::nullopt;
}

} // namespace

bool is_in_training(const Graph &graph) {
    return std::any_of(graph.inputs().begin(), graph.inputs().end(),
                       [](const Input &input) { return input.is_variable; }) ||
           std::any_of(graph.nodes().begin(), graph.nodes().end(),
                       [](const Node &node) { return ops::info_of(node.operation).for_training; });
}

ReplacedLayers find_replaced_layers(const Graph &graph, const Backend &backend, const LowerOptions &options) {
    ReplacedLayers replaced;
    if (backend.implementations().refused().empty()) return replaced;
    const char *device = "the CPU engine computes ";
    if (is_in_training(graph)) {
        if (const auto why = missing_implementation(graph, backend, options)) {
            replaced.whole = true;
            replaced.reason = concat({device, "network ", quoted(graph.name()), ": ", *why});
        }
        return replaced;
    }
    std::string reasons;
    for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
        const Node &node = graph.nodes()[i];
        if (node.operation.is<ops::Custom>()) continue;
        const Graph alone = subgraph_of_node(graph, i);
        std::optional<std::string> why = missing_implementation(alone, backend, options);
        if (!why && !shapes_for_one_image(alone)) why = why_not_for_all_extents(node, backend);
        if (!why) continue;
        replaced.nodes.push_back(i);
        reasons += concat({reasons.empty() ? "" : "; ", *why});
    }
    if (replaced.nodes.empty()) return replaced;
    replaced.whole = options.precision == Precision::float16 && hands_on_float32(graph);
    if (replaced.whole)
        replaced.reason = concat({device, "network ", quoted(graph.name()), ": ", reasons});
    else
        replaced.reason =
            concat({device, replaced.nodes.size(), " of ", graph.nodes().size(), " layers: ", reasons});
    return replaced;
}

} // namespace mpscnn::engine
