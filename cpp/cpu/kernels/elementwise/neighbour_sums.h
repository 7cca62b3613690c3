#pragma once

// Shared code of normalizations over neighbouring channels and of their gradients.

#include <cstddef>

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/simd_math.h"

namespace mpscnn::cpu {
namespace {

/// Compute base^-beta with an error of up to 5 ulp. The exponents that networks use are computed by roots and
/// products, which are much faster than a general power.
template <class V> MPSCNN_INLINE typename V::reg inverse_power(typename V::reg base, float beta) {
    const auto one = V::set1(1.0f);
    if (beta == 0.5f) return V::div(one, V::sqrt(base));
    if (beta == 0.75f) {
        const auto root = V::sqrt(base);
        return V::div(one, V::mul(root, V::sqrt(root)));
    }
    if (beta == 1.0f) return V::div(one, base);
    if (beta == 5.0f) {
        const auto inverse = V::div(one, base), square = V::mul(inverse, inverse);
        return V::mul(V::mul(square, square), inverse);
    }
    return power<V>(base, -beta);
}

/// The layout of a pixel's channels in a worker's memory. Zeros before the first and after the last channel
/// stand for neighbours that do not exist.
template <class V> struct NeighbourLayout {
    std::int64_t before, channels, total;

    MPSCNN_INLINE NeighbourLayout(std::int64_t neighbours_before, std::int64_t neighbours_after,
                                  std::int64_t pixel_channels)
        : before(neighbours_before), channels(round_up(pixel_channels, V::width)),
          total(before + channels + neighbours_after + 2 * V::width) {}
    /// Return the bytes of these values and of the sums that are stored after them.
    MPSCNN_INLINE std::size_t bytes() const {
        return static_cast<std::size_t>(total + channels) * sizeof(float);
    }
};

/// Store value(channel, channels left) for each vector of a pixel's channels, with zeros around them.
template <class V, class Value>
MPSCNN_INLINE void store_neighbours(std::int64_t channels, const NeighbourLayout<V> &layout, float *values,
                                    Value value) {
    for (std::int64_t i = 0; i < layout.before; i += V::width) V::store(values + i, V::zero());
    for (std::int64_t c = 0; c < channels; c += V::width)
        V::store(values + layout.before + c, value(c, channels - c));
    for (std::int64_t i = layout.before + layout.channels; i + V::width <= layout.total; i += V::width)
        V::store(values + i, V::zero());
}

/// Compute sums[c] = values[c] + ... + values[c + length - 1]. `values` is replaced by sums of 1, 2, 4, ...
/// neighbours. For each power of two in the binary form of `length`, the sums of that many neighbours are
/// added to `sums`.
template <class V>
MPSCNN_INLINE void sum_neighbours(float *values, float *sums, std::int64_t length,
                                  const NeighbourLayout<V> &layout) {
    for (std::int64_t c = 0; c < layout.channels; c += V::width) V::store(sums + c, V::zero());
    std::int64_t summed = 0;
    for (std::int64_t run = 1;; run *= 2) {
        if (length & run) {
            for (std::int64_t c = 0; c < layout.channels; c += V::width)
                V::store(sums + c, V::add(V::load(sums + c), V::load(values + c + summed)));
            summed += run;
        }
        if (summed == length) return;
        for (std::int64_t i = 0; i + run + V::width <= layout.total; i += V::width)
            V::store(values + i, V::add(V::load(values + i), V::load(values + i + run)));
    }
}

} // namespace
} // namespace mpscnn::cpu
