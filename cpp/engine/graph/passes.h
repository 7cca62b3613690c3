#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The part of a graph that the wanted values need, with those values as its outputs.
Graph extract(const Graph &graph, const std::vector<ValueId> &wanted);

struct Canonical {
    Graph graph;
    /// By the name of a node or input: the layers of the original graph that have become part of it, in
    /// order.
    std::map<std::string, std::vector<std::string>> merged;
};

/// Which layers `canonicalise` merges into one.
enum class Merging {
    of_numbers, ///< batch normalization and neurons too: only the end of a layer is rounded
    of_integers ///< nothing that computes: each layer of an int8 network has a result of its own scale
};

/// The same network in the form that backends take: batch normalization folded into the convolution or dense
/// layer before it, neurons attached to the layers before them, dropout outside of training left out.
/// Rounding points stay where the original graph has them: a convolution with its batch normalization and
/// neuron rounds once. The graph must be complete.
Canonical canonicalise(const Graph &graph, Merging merging = Merging::of_numbers);

} // namespace mpscnn::engine
