#pragma once

// Which taps of a window lie inside the source.

#include "cpu/kernel_math.h"
#include "cpu/kernels.h"

namespace mpscnn::cpu {
namespace {

/// First source position of an output's window.
MPSCNN_INLINE std::int64_t window_begin(const WindowAxis &axis, std::int64_t output) {
    return output * axis.stride - axis.before;
}

/// Taps of an output's window whose source positions lie in [low, high).
MPSCNN_INLINE Range taps_within(const WindowAxis &axis, std::int64_t output, std::int64_t low,
                                std::int64_t high) {
    const std::int64_t start = window_begin(axis, output);
    const std::int64_t begin = clamped(divide_up(low - start, axis.dilation), 0, axis.kernel);
    return {begin, clamped(divide_up(high - start, axis.dilation), begin, axis.kernel)};
}

} // namespace
} // namespace mpscnn::cpu
