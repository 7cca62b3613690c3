#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/graph.h"

namespace mpscnn::engine {

/// Whether training can change the weights of a layer, those of its activation included.
bool trains_weights(const Node &layer);

/// The shape of the variable that holds a weight while it is trained.
Shape trained_shape(const std::string &role, const Shape &weight);

/// Adds an operation to a graph that is trained, with weights that are variables, by role. Some become
/// several operations whose gradients are there.
ValueId add_trained_layer(Graph &graph, const std::string &name, const ops::Operation &operation,
                          std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights);

} // namespace mpscnn::engine
