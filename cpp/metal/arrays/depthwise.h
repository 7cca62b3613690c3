#pragma once

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

// Depthwise convolutions with constant weights, by shaders/array_depthwise.metal.

/// True if the shader can compute the convolution: there is no multiplier, and channels are whole quads.
bool is_array_depthwise(const ops::Convolution &convolution, const Shape &input);

/// Return weights of [output][row][column][input] in the order that shaders on arrays read, which is
/// [row][column][channel] for a depthwise convolution and otherwise the same.
std::vector<float> weights_for_arrays(const ops::Convolution &convolution, const Shape &input,
                                      std::vector<float> weights);

void add_depthwise(ArrayProgram &program, const ops::Convolution &convolution);

} // namespace mpscnn::metal
