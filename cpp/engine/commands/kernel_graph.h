#pragma once

#include <vector>

#include "engine/commands/kernel.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The graph that an encoding of a raw kernel is.
struct KernelGraph {
    Graph graph;
    /// The encoding's source that is each input. Weights that the kernel does not have are none.
    std::vector<std::size_t> sources;
};

/// Without weights that are no sources: set_weights. Throws UnsupportedError for a derivative that there is
/// not.
KernelGraph make_kernel_graph(const Kernel &kernel, const kernels::Encoding &encoding);
void set_weights(Graph &graph, const Kernel &kernel, const kernels::Encoding &encoding);

} // namespace mpscnn::engine
