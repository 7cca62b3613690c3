#pragma once

// Functions of 8-bit integers as tables. TensorFlow Lite's reference kernels use such tables as well, or
// compute the same results.

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

/// Return a factor with a multiplier of 31 bits; it is zero for factors below 2^-32.
FixedPoint fixed_point(double factor);

/// Return the factor from one scale to another.
FixedPoint factor_between(const engine::Quantization &source, const engine::Quantization &result);

/// Return the factor that turns a sum of `count` integers into their mean in the result's integers.
FixedPoint factor_of_mean(const engine::Quantization &source, const engine::Quantization &result,
                          std::int64_t count);

/// Return the table of a concatenation's operand that has another scale or zero point than the result: the
/// result for each stored integer of the operand.
std::array<std::uint8_t, 256> joined_integers(const engine::Quantization &operand,
                                              const engine::Quantization &result);

/// True for a global average pooling, whose result may have another scale and zero point than its source. If
/// scale and zero point are the same, it is computed like any average pooling, otherwise as a mean.
inline bool is_mean_of_image(const ops::Pooling &pooling) {
    return pooling.global && pooling.kind == ops::PoolingKind::average;
}

/// Return the result of a standalone neuron for each stored integer of its source. The neuron is one that
/// int8 networks support and that is not a clamp.
std::array<std::uint8_t, 256> function_of_integers(const ops::Neuron &neuron,
                                                   const engine::Quantization &source,
                                                   const engine::Quantization &result);

/// Return a zero point or an integer as its stored byte, 0..255. For int8 quantizations, bytes hold the
/// integer plus 128.
inline std::int32_t stored(const engine::Quantization &quantization, int integer) {
    return integer - quantization.lowest();
}

} // namespace mpscnn::cpu
