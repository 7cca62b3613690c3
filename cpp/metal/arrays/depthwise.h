#pragma once

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

// Depthwise convolutions by shaders/array_depthwise.metal.

/// True if the shader can compute the convolution: there is no channel multiplier, and the number of channels
/// is a multiple of four.
bool is_array_depthwise(const ops::Convolution &convolution, const Shape &input);

/// Rearrange weights [output][row][column][input] to the order that shaders on arrays read. For a depthwise
/// convolution this is [row][column][channel]; otherwise nothing changes.
std::vector<float> weights_for_arrays(const ops::Convolution &convolution, const Shape &input,
                                      std::vector<float> weights);

/// Add the kernel of a convolution. Its weights are constants in the order of weights_for_arrays().
void add_depthwise(ArrayProgram &program, const ops::Convolution &convolution);

/// True if the device may use the shaders for a convolution whose weights are variables. One shader
/// rearranges the weights, and the next one computes the convolution.
bool may_rearrange_depthwise(const ArrayProgram &program, const ops::Convolution &convolution,
                             const Shape &input, NeuronKind activation = NeuronKind::none);

/// Add the kernels of a convolution whose weights are variables.
void add_trained_depthwise(ArrayProgram &program, const ops::Convolution &convolution);

/// Add the kernels of the gradient of the input. The sources are the result's gradient, the weights and the
/// input. This gradient is a convolution of the result's gradient with reversed windows, so strides must be
/// 1.
void add_depthwise_data_gradient(ArrayProgram &program, const ops::Convolution &convolution);

} // namespace mpscnn::metal
