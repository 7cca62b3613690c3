#pragma once

// Convolutions and dense layers whose products are summed in halves.

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

/// Rounds weights [outputs][height][width][inputs of a group] and biases to halves, in the kernels' order.
HalfWeights pack_half_weights(std::span<const float> weights, std::span<const float> bias, const Shape &shape,
                              std::int64_t groups);

/// Packs the node's weights, of this shape. Throws WeightsError for a bias beyond halves.
void lower_half_sums(const OperationLowering &lowering, const Shape &shape, std::int64_t groups);

/// The step of such a layer, whose window and epilogue are those of `task`.
Step &begin_half_sums(StepBuilder &builder, const FusedOperation &fused, const ConvolutionTask &task);

} // namespace mpscnn::cpu
