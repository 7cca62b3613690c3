#pragma once

#include <map>
#include <vector>

#include "engine/graph/graph.h"

namespace mpscnn::engine {

/// Add the computation of gradients to a graph. It starts from `gradient`, the gradient of `value`, and
/// returns the gradients of the wanted values: inputs, variables, or results of operations, beyond which no
/// gradients are computed. Gradients that no wanted value needs are not computed. Weights that gradients pass
/// through must be variables. Throws UnsupportedError, with the layer's name, for an operation without a
/// gradient.
std::map<ValueId, ValueId> differentiate(Graph &graph, ValueId value, ValueId gradient,
                                         const std::vector<ValueId> &wanted);

} // namespace mpscnn::engine
