#pragma once

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

// Depthwise convolutions with constant weights, by shaders/array_depthwise.metal.

/// True if the shader can compute the convolution: there is no channel multiplier, and the number of channels
/// is a multiple of four.
bool is_array_depthwise(const ops::Convolution &convolution, const Shape &input);

/// Rearrange weights [output][row][column][input] to the order that shaders on arrays read. For a depthwise
/// convolution this is [row][column][channel]; otherwise nothing changes.
std::vector<float> weights_for_arrays(const ops::Convolution &convolution, const Shape &input,
                                      std::vector<float> weights);

void add_depthwise(ArrayProgram &program, const ops::Convolution &convolution);

} // namespace mpscnn::metal
