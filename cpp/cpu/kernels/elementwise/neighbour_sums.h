#pragma once

// Shared code of normalizations by neighbouring channels and of their gradients.

#include "cpu/isa/simd_math.h"
#include "cpu/kernels/convolution/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Compute base^-beta, error 5 ulp. The exponents that networks use have formulas by roots and products,
/// which cost far less than a power.
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

/// The layout of a pixel's channel values in a worker's memory. Channels that do not exist are zero.
template <class V> struct NeighbourLayout {
    std::int64_t before, channels, total;

    MPSCNN_INLINE NeighbourLayout(std::int64_t neighbours_before, std::int64_t neighbours_after,
                                  std::int64_t pixel_channels)
        : before(neighbours_before), channels(round_up(pixel_channels, V::width)),
          total(before + channels + neighbours_after + 2 * V::width) {}
    /// Return the bytes of the values and of the sums after them.
    MPSCNN_INLINE std::size_t bytes() const {
        return static_cast<std::size_t>(total + channels) * sizeof(float);
    }
};

/// Store value(channel, channels left) for each vector of a pixel's channels. Lanes without a channel are
/// zero.
template <class V, class Value>
MPSCNN_INLINE void store_neighbours(std::int64_t channels, const NeighbourLayout<V> &layout, float *values,
                                    Value value) {
    for (std::int64_t i = 0; i < layout.before; i += V::width) V::store(values + i, V::zero());
    for (std::int64_t c = 0; c < channels; c += V::width)
        V::store(values + layout.before + c, value(c, channels - c));
    for (std::int64_t i = layout.before + layout.channels; i + V::width <= layout.total; i += V::width)
        V::store(values + i, V::zero());
}

/// Compute sums[c] = values[c] + .. + values[c + length - 1]. `values` becomes sums of 1, 2, 4, ...
/// neighbours in place. The sums that match the binary digits of `length` are added up.
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
