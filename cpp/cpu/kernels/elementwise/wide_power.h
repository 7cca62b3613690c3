#pragma once

// Powers and their bases in double, for normalizations whose sums of squares are beyond float.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/tasks/window.h"

namespace mpscnn::cpu {
namespace {

/// Return log2 x for finite, normal x > 0.
inline double wide_logarithm(double x) {
    const auto bits = __builtin_bit_cast(std::uint64_t, x);
    auto exponent = static_cast<double>(static_cast<std::int64_t>(bits >> 52) - 1023);
    auto m = __builtin_bit_cast(double, (bits & 0x000fffffffffffff) | 0x3ff0000000000000);
    if (m > 1.4142135623730951) m *= 0.5, exponent += 1.0;
    // ln m = 2 s + 2 s^3 / 3 + 2 s^5 / 5 + ... with s = (m - 1) / (m + 1), at most 0.172.
    const double s = (m - 1.0) / (m + 1.0);
    double series = 0.0;
    for (int k = 21; k > 0; k -= 2) series = series * s * s + 1.0 / k;
    return exponent + 2.8853900817779268 * s * series;
}

/// Compute x^c for x >= 0, like C's pow. The exponents of results are limited to [-1020, 1020], which is
/// beyond float.
inline double wide_power(double x, double c) {
    if (x != x || c == 0.0) return x != x ? x : 1.0;
    if (x == 0.0 || x == __builtin_inf()) return (x == 0.0) == (c > 0.0) ? 0.0 : __builtin_inf();
    double t = c * wide_logarithm(x);
    t = t < -1020.0 ? -1020.0 : t > 1020.0 ? 1020.0 : t;
    const auto whole = static_cast<std::int64_t>(t < 0.0 ? t - 0.5 : t + 0.5);
    const double rest = (t - static_cast<double>(whole)) * 0.69314718055994531;
    double power = 1.0;
    for (int k = 14; k > 0; --k) power = 1.0 + power * rest / k;
    return power * __builtin_bit_cast(double, static_cast<std::uint64_t>(whole + 1023) << 52);
}

/// Return delta + scale * the sum of squares of a channel's neighbours in the pixel `from`. This is the base
/// of the power by which cross-channel normalization divides.
inline double wide_cross_channel_base(const CrossChannelTask &task, const float *from, std::int64_t channels,
                                      std::int64_t channel) {
    const std::int64_t end = min(channel + task.after + 1, channels);
    double sum = 0.0;
    for (std::int64_t c = max(channel - task.before, 0); c < end; ++c) {
        const auto x = static_cast<double>(from[c]);
        sum += x * x;
    }
    return static_cast<double>(task.delta) + static_cast<double>(task.scale) * sum;
}

MPSCNN_INLINE bool contains(const PowerRange &range, float sum) {
    return sum >= range.lowest && sum < range.highest;
}

/// Return 1 in the lanes whose sum is not in the range, otherwise 0. Only the first `left` lanes count.
template <class V>
MPSCNN_INLINE typename V::reg beyond(const PowerRange &range, typename V::reg sum, std::int64_t left) {
    const auto one = V::set1(1.0f), zero = V::zero();
    const auto is_small = V::select(V::less(sum, V::set1(range.lowest)), one, zero);
    return fill_lanes<V>(V::select(V::less(sum, V::set1(range.highest)), is_small, one), left, 0.0f);
}

} // namespace
} // namespace mpscnn::cpu
