#pragma once

// Plans convolutions and dense layers that sum their products in float16.

#include "cpu/plan/operation.h"

namespace mpscnn::cpu {

/// Round weights [outputs][height][width][inputs of a group] and biases to float16, in the order that kernels
/// read.
HalfWeights pack_half_weights(std::span<const float> weights, std::span<const float> bias, const Shape &shape,
                              std::int64_t groups);

/// Pack the weights of the node, which have this shape. Throws WeightsError for a bias outside the range of
/// float16.
void lower_half_sums(const OperationLowering &lowering, const Shape &shape, std::int64_t groups);

/// Begin the step of a layer with float16 sums. `task` has its window and epilogue.
Step &begin_half_sums(StepBuilder &builder, const FusedOperation &fused, const ConvolutionTask &task);

} // namespace mpscnn::cpu
