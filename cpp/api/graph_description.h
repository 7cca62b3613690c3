#pragma once

#include "core/json.h"
#include "engine/graph/graph.h"

namespace mpscnn::c_api {

Json json_of(const Shape &shape);

/// What mpscnn_graph_describe tells.
Json describe(const engine::Graph &graph, std::int64_t height, std::int64_t width);
/// What mpscnn_graph_weights tells.
Json describe_weights(const engine::Graph &graph);

} // namespace mpscnn::c_api
