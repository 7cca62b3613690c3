#pragma once

#include <optional>

#include "metal/arrays/array_program.h"

namespace mpscnn::metal {

// Separable convolutions: one kernel computes a depthwise convolution and the pointwise one after it.

/// The limits of a depthwise convolution's results.
struct SeparableLimits {
    float low = 0.0f, high = 0.0f;
};

/// Return the limits that an activation sets, or nothing if it is another function.
std::optional<SeparableLimits> limits_of(const ops::Neuron &activation);

/// Return the shader of SeparableOperands for a depthwise convolution of an input, and for the pointwise
/// convolution of its result. Return null if there is none, or if the two kernels are faster.
const char *separable_shader(const ops::Convolution &depthwise, const Shape &input,
                             const ops::Neuron &activation, const ops::Convolution &pointwise,
                             const Shape &between);

} // namespace mpscnn::metal
