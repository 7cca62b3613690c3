#pragma once

#include <vector>

#include "engine/commands/kernel.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The graph for an encoding of a raw kernel.
struct KernelGraph {
    Graph graph;
    /// For each input of the graph, the encoding's source. Weights that the kernel lacks are not sources.
    std::vector<std::size_t> sources;
};

/// Make the graph without weights, except those that are sources; see set_weights. Throws UnsupportedError
/// for a derivative that does not exist.
KernelGraph make_kernel_graph(const Kernel &kernel, const kernels::Encoding &encoding);
void set_weights(Graph &graph, const Kernel &kernel, const kernels::Encoding &encoding);

} // namespace mpscnn::engine
