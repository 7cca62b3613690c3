#pragma once

#include "core/json.h"
#include "engine/graph/graph.h"

namespace mpscnn::c_api {

Json json_of(const Shape &shape);

/// Return the JSON of mpscnn_graph_describe.
Json describe(const engine::Graph &graph, std::int64_t height, std::int64_t width);
/// Return the JSON of mpscnn_graph_weights.
Json describe_weights(const engine::Graph &graph);

} // namespace mpscnn::c_api
