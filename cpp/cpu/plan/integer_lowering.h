#pragma once

// Computes the constants of layers in int8 precision, such as the factors that requantize sums.

#include <cstddef>
#include <memory>

#include "cpu/isa/kernels.h"
#include "cpu/plan/integer_layer.h"
#include "engine/graph/graph.h"

namespace mpscnn::cpu {

/// Compute the constants of a node that the table of unsupported features allows in int8 precision. Throws
/// WeightsError for weights that are not 8-bit integers with scales and integer zero points, and for biases
/// that are not 32-bit integers. Throws ParameterError for quantizations that TensorFlow Lite's layers do not
/// have. Weights are packed for the kernels `quads` (null: there are none) if these support the layer.
std::shared_ptr<const IntegerLayer> lower_to_integers(const engine::Graph &graph, std::size_t node,
                                                      const QuadKernels *quads);

} // namespace mpscnn::cpu
