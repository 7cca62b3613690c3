#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ops/gradient.h"

namespace mpscnn::ops {

// Functions that add the gradients of one operation each, grouped by families. gradient.cpp has the other
// operations and dispatches to all.

void add_own(const Addition &addition, GradientBuilder &builder);
void add_own(const Subtraction &difference, GradientBuilder &builder);
void add_own(const Multiplication &product, GradientBuilder &builder);
void add_own(const Division &quotient, GradientBuilder &builder);
void add_own(const Maximum &maximum, GradientBuilder &builder);
void add_own(const Minimum &minimum, GradientBuilder &builder);
void add_own(const Power &power, GradientBuilder &builder);
void add_own(const Mask &mask, GradientBuilder &builder);
void add_own(const MaskOut &mask, GradientBuilder &builder);
/// Steps, whose derivative is 0 where they have one: nothing goes on.
inline void add_own(const Greater &, GradientBuilder &) {}
inline void add_own(const GreaterOrEqual &, GradientBuilder &) {}
inline void add_own(const Equal &, GradientBuilder &) {}
inline void add_own(const NotEqual &, GradientBuilder &) {}

void add_own(const Gather &gather, GradientBuilder &builder);
void add_own(const GatherGradient &gathered, GradientBuilder &builder);
void add_own(const Padding &padding, GradientBuilder &builder);
void add_own(const Slice &slice, GradientBuilder &builder);
void add_own(const Tile &tile, GradientBuilder &builder);

void add_own(const Reduction &reduction, GradientBuilder &builder);
void add_own(const WeightedReduction &reduction, GradientBuilder &builder);

void add_own(const Lstm &lstm, GradientBuilder &builder);
void add_own(const Gru &gru, GradientBuilder &builder);

void add_own(const SpatialNormalization &normalization, GradientBuilder &builder);
void add_own(const LocalContrastNormalization &normalization, GradientBuilder &builder);

// Helpers of all families

using Value = GradientValue;

/// a * x + b
inline Value linear(GradientBuilder &builder, Value value, float a, float b = 0.0f) {
    if (a == 1.0f && b == 0.0f) return value;
    return builder.add(Neuron{.kind = NeuronKind::linear, .a = a, .b = b}, {value});
}
/// A tensor times a number.
inline Value scaled(GradientBuilder &builder, Value value, float factor) {
    return linear(builder, value, factor);
}
inline Value multiplied(GradientBuilder &builder, Value a, Value b) {
    return builder.add(Multiplication{}, {a, b});
}

/// Extents after the batch.
inline std::vector<std::int64_t> image_extents(const Shape &shape) {
    return {shape.begin() + 1, shape.end()};
}
inline Value reshaped(GradientBuilder &builder, Value value, std::vector<std::int64_t> extents) {
    return builder.add(Reshape{.shape = std::move(extents)}, {value});
}

/// An operation on the gradient's elements and one of broadcast extent 1 along `from_end`, the axis counted
/// from the last one.
template <class Op> Op broadcasting(int from_end) {
    Op operation;
    (from_end == 1   ? operation.secondary_stride_channels
     : from_end == 2 ? operation.secondary_stride_x
                     : operation.secondary_stride_y) = 0;
    return operation;
}

/// The gradient of a padding's input, the tensor `input`: builder.gradient() or another one of the padding's
/// result.
Value padding_gradient(const Padding &padding, GradientBuilder &builder, Value gradient, Value input);

} // namespace mpscnn::ops
