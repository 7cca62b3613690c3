#pragma once

// Chooses the algorithm of a convolution.

#include "cpu/isa/kernels.h"
#include "ops/op_list.h"

namespace mpscnn::cpu {

/// Return the shape and algorithm for weights [outputs][height][width][inputs of a group]. The algorithm is
/// one that reads inputs without transforming them.
ConvolutionShape plain_convolution(const VectorTraits &vectors, const Shape &weights, std::int64_t groups,
                                   Element element = Element::float32);

/// Return the shape and the fastest algorithm, possibly Winograd's, for a layer of a network in float32 or
/// float16. `result` is the shape of the layer's result and may have free extents.
ConvolutionShape fastest_convolution(const VectorTraits &vectors, const ops::Convolution &convolution,
                                     const Shape &weights, const Shape &result);

/// True if packed weights may be stored in float16. Matrix products support this if the processor has an
/// instruction for the conversion. Winograd's transformed weights are not exact in float16, and other
/// algorithms have few weights.
bool can_keep_halves(const VectorTraits &vectors, const ConvolutionShape &shape);

} // namespace mpscnn::cpu
