#pragma once

#include <map>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// The weight of a prelu.
inline constexpr const char *slope_role = "slope";
/// The weight of a constant.
inline constexpr const char *value_role = "value";

/// True if training can change the weights of a layer, including those of its activation.
bool trains_weights(const Node &layer);

/// The shape of the variable that holds a weight while it is trained.
Shape trained_shape(const std::string &role, const Shape &weight);

/// Add a batch normalization with constant statistics, gamma and beta: two operations on constant tensors.
/// `batch` is a value with the same number of images.
ValueId add_fixed_normalization(Graph &graph, const std::string &name, const Node &layer, ValueId x,
                                ValueId batch);

/// Add an operation to a graph that is trained; its weights are variables, by role. Some operations become
/// several that have gradients.
ValueId add_trained_layer(Graph &graph, const std::string &name, const ops::Operation &operation,
                          std::vector<ValueId> inputs, const std::map<std::string, ValueId> &weights);

} // namespace mpscnn::engine
