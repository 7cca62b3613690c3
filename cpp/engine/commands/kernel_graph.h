#pragma once

#include <vector>

#include "engine/commands/kernel.h"
#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// A graph that computes an encoding of a raw kernel, and where its inputs come from.
struct KernelGraph {
    Graph graph;
    /// The index of the encoding's source for each input of the graph. Weights that the kernel does not have
    /// are left out.
    std::vector<std::size_t> sources;
};

/// Make the graph of an encoding. Weights that are sources of the encoding are inputs of the graph;
/// set_weights sets all other weights. Throws UnsupportedError for a derivative that does not exist.
KernelGraph make_kernel_graph(const Kernel &kernel, const kernels::Encoding &encoding);
void set_weights(Graph &graph, const Kernel &kernel, const kernels::Encoding &encoding);

} // namespace mpscnn::engine
