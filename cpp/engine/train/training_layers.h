#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The role of a prelu's weight.
inline constexpr const char *slope_role = "slope";
/// The role of a constant's weight.
inline constexpr const char *value_role = "value";

/// True if training can change the weights of a layer, including the weights of its activation.
bool trains_weights(const Node &layer);

/// Return the shape of the variable that holds a weight while it is trained.
Shape trained_shape(const std::string &role, const Shape &weight);

/// Add a batch normalization whose statistics, gamma and beta do not change, as two operations on constants.
/// `batch` is any value with the same number of images.
ValueId add_fixed_normalization(Graph &graph, const std::string &name, const Node &layer, ValueId x,
                                ValueId batch);

/// Add an operation to a graph that is trained. `weights` are variables, by role. If an operation has no
/// gradient but several others together compute the same, these replace it.
ValueId add_trained_layer(Graph &graph, const std::string &name, const ops::Operation &operation,
                          std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights);

} // namespace mpscnn::engine
