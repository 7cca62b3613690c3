#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// True if custom layers, which functions of the calling program compute, are in the graph (ops/custom.h).
bool has_custom_layers(const Graph &graph);

/// Nodes that another backend computes.
struct OtherNodes {
    std::vector<std::size_t> nodes;
    std::shared_ptr<const Backend> backend; ///< null where there are none
};

/// Lower a canonical graph with custom layers, or with layers that another backend computes. The backend
/// lowers the subgraphs between those layers and does not see the layers themselves. Values pass between them
/// as float32 in main memory.
std::unique_ptr<LoweredGraph> lower_in_stages(const Graph &graph, const Backend &backend,
                                              const LowerOptions &options, const OtherNodes &others = {});

/// Return a graph of one node, whose inputs are the values that the node reads. lower_in_stages gives such
/// graphs to the other backend.
Graph subgraph_of_node(const Graph &graph, std::size_t node);

} // namespace mpscnn::engine
