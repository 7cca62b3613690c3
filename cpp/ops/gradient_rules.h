#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "ops/gradient.h"

namespace mpscnn::ops {

// Gradient rules: each add_own adds the gradients of one operation. They are grouped by families of
// operations. gradient.cpp has the other operations and dispatches to all.

void add_own(const Addition &addition, GradientBuilder &builder);
void add_own(const Subtraction &difference, GradientBuilder &builder);
void add_own(const Multiplication &product, GradientBuilder &builder);
void add_own(const Division &quotient, GradientBuilder &builder);
void add_own(const Maximum &maximum, GradientBuilder &builder);
void add_own(const Minimum &minimum, GradientBuilder &builder);
void add_own(const Power &power, GradientBuilder &builder);
void add_own(const Mask &mask, GradientBuilder &builder);
void add_own(const MaskOut &mask, GradientBuilder &builder);
/// These step functions have a derivative of 0, so they give no gradients.
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

// Functions that the rules of several families use.

using Value = GradientValue;

/// Add the operation a * value + b.
inline Value linear(GradientBuilder &builder, Value value, float a, float b = 0.0f) {
    if (a == 1.0f && b == 0.0f) return value;
    return builder.add(Neuron{.kind = NeuronKind::linear, .a = a, .b = b}, {value});
}
/// Add the product of a tensor and a number.
inline Value scaled(GradientBuilder &builder, Value value, float factor) {
    return linear(builder, value, factor);
}
inline Value multiplied(GradientBuilder &builder, Value a, Value b) {
    return builder.add(Multiplication{}, {a, b});
}

/// Return the extents after the batch.
inline std::vector<std::int64_t> image_extents(const Shape &shape) {
    return {shape.begin() + 1, shape.end()};
}
inline Value reshaped(GradientBuilder &builder, Value value, std::vector<std::int64_t> extents) {
    return builder.add(Reshape{.shape = std::move(extents)}, {value});
}

/// Return an operation whose second operand has extent 1, and is broadcast, along the axis `from_end`,
/// counted from the last one.
template <class Op> Op broadcasting(int from_end) {
    Op operation;
    (from_end == 1   ? operation.secondary_stride_channels
     : from_end == 2 ? operation.secondary_stride_x
                     : operation.secondary_stride_y) = 0;
    return operation;
}

/// Return the gradient of a padding's input. `gradient` is the gradient of the padding's result, and `input`
/// the tensor that was padded.
Value padding_gradient(const Padding &padding, GradientBuilder &builder, Value gradient, Value input);

} // namespace mpscnn::ops
