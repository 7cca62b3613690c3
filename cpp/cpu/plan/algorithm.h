#pragma once

// How a convolution is computed: the one place that decides it.

#include "cpu/isa/kernels.h"
#include "ops/op_list.h"

namespace mpscnn::cpu {

/// Weights [outputs][height][width][inputs of a group] with the algorithm that reads each input as it is. Of
/// bfloat16 elements an odd number of inputs becomes even.
ConvolutionShape plain_convolution(const VectorTraits &vectors, const Shape &weights, std::int64_t groups,
                                   Element element = Element::float32);

/// The same for a layer of a network in float32 or float16, with Winograd's algorithm where that takes less
/// time. `result` may have free extents.
ConvolutionShape fastest_convolution(const VectorTraits &vectors, const ops::Convolution &convolution,
                                     const Shape &weights, const Shape &result);

/// Whether kernels read packed weights that are halves. Matrix products do, where the processor converts them
/// by an instruction; Winograd's transformed weights are no halves, and the others' are few.
bool can_keep_halves(const VectorTraits &vectors, const ConvolutionShape &shape);

} // namespace mpscnn::cpu
