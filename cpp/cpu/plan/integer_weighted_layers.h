#pragma once

// Computes the constants of convolutions and dense layers in int8 precision.

#include <cstddef>

#include "cpu/isa/kernels.h"
#include "cpu/plan/integer_layer.h"
#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// Compute the constants of a convolution or dense layer, and pack its weights. Errors and `quads` are those
/// of lower_to_integers().
void lower_weighted_layer(const engine::Graph &graph, std::size_t node, const QuadKernels *quads,
                          IntegerLayer &layer);

} // namespace mpscnn::cpu
