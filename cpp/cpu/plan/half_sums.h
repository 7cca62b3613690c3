#pragma once

// Convolutions and dense layers that sum their products in halves.

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

/// Round weights [outputs][height][width][inputs of a group] and biases to halves, in the kernels' order.
HalfWeights pack_half_weights(std::span<const float> weights, std::span<const float> bias, const Shape &shape,
                              std::int64_t groups);

/// Pack the node's weights, which have this shape. Throws WeightsError for a bias outside the range of
/// halves.
void lower_half_sums(const OperationLowering &lowering, const Shape &shape, std::int64_t groups);

/// Begin the step of such a layer; `task` has its window and epilogue.
Step &begin_half_sums(StepBuilder &builder, const FusedOperation &fused, const ConvolutionTask &task);

} // namespace mpscnn::cpu
