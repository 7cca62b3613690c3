#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// Return the part of a graph that the wanted values need, with these values as its outputs.
Graph extract(const Graph &graph, const std::vector<ValueId> &wanted);

struct Canonical {
    Graph graph;
    /// The layers of the original graph that were merged into a node or input, in order, by the node's name.
    std::map<std::string, std::vector<std::string>> merged;
};

/// Selects the layers that `canonicalise` merges into one.
enum class Merging {
    /// Batch normalization, neurons and layers without computation are merged. Only the last result is
    /// rounded.
    of_numbers,
    /// Like of_numbers, but a neuron of kind `none` stays a layer if either it or the layer before it, but
    /// not both, is kept in float32. Such a neuron rounds, or keeps the rounded result of the layer before
    /// it.
    of_halves,
    /// Only layers without computation are merged, because each layer's result in an int8 network has a
    /// separate scale.
    of_integers
};

/// Return an equivalent network in the form that backends take. Dropout is removed outside of training.
/// Except in networks of integers, batch normalization is folded into the convolution or dense layer before
/// it where possible, and neurons are attached to the layers before them if these take one. Results are
/// rounded where the original graph rounds them: a convolution with its batch normalization and neuron rounds
/// once. The graph must be complete.
Canonical canonicalise(const Graph &graph, Merging merging = Merging::of_numbers);

} // namespace mpscnn::engine
