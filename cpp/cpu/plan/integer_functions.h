#pragma once

// Functions of 8-bit integers as tables: TensorFlow Lite's reference kernels make such tables, too, or
// compute what one gives.

#include <array>
#include <cstdint>

#include "engine/graph/graph.h"
#include "ops/neuron.h"
#include "ops/pooling.h"

namespace mpscnn::cpu {

/// A factor in fixed-point arithmetic: multiplier * 2^(shift - 31).
struct FixedPoint {
    std::int32_t multiplier = 0, shift = 0;
};

/// With a multiplier of 31 bits; zero below 2^-32.
FixedPoint fixed_point(double factor);

/// From one scale to another.
FixedPoint factor_between(const engine::Quantization &source, const engine::Quantization &result);

/// Of the sum of `count` integers, for their mean in the result's integers.
FixedPoint factor_of_mean(const engine::Quantization &source, const engine::Quantization &result,
                          std::int64_t count);

/// A concatenation's result for each stored integer of an operand that has another scale or zero point.
std::array<std::uint8_t, 256> joined_integers(const engine::Quantization &operand,
                                              const engine::Quantization &result);

/// Whose result may have integers of its own: with those of its source it is computed like any average
/// pooling, with others as a mean.
inline bool is_mean_of_image(const ops::Pooling &pooling) {
    return pooling.global && pooling.kind == ops::PoolingKind::average;
}

/// What a layer of its own makes of each stored integer of its source: a neuron that int8 networks have, and
/// that is not a pair of limits.
std::array<std::uint8_t, 256> function_of_integers(const ops::Neuron &neuron,
                                                   const engine::Quantization &source,
                                                   const engine::Quantization &result);

/// Zero points and integers as bytes have them.
inline std::int32_t stored(const engine::Quantization &quantization, int integer) {
    return integer - quantization.lowest();
}

} // namespace mpscnn::cpu
