#pragma once

#include <map>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// Adds to a graph what computes gradients: from that of `value`, which is `gradient`, those of the wanted
/// values, which are inputs or variables. Gradients that no wanted value needs are not computed. Weights that
/// gradients pass through have to be variables. Throws UnsupportedError naming the layer for an operation
/// that training does not reach.
std::map<ValueId, ValueId> differentiate(Graph &graph, ValueId value, ValueId gradient,
                                         const std::vector<ValueId> &wanted);

} // namespace mpscnn::engine
