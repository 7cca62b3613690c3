#pragma once

// Computes which taps of a window are inside the source, along one axis.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// Return the first source position of an output's window.
MPSCNN_INLINE std::int64_t window_begin(const WindowAxis &axis, std::int64_t output) {
    return output * axis.stride - axis.before;
}

/// Return the number of source positions from the first to the last tap of an output's window.
MPSCNN_INLINE std::int64_t window_span(const WindowAxis &axis) {
    return (axis.kernel - 1) * axis.dilation + 1;
}

/// Return the first source position after an output's window.
MPSCNN_INLINE std::int64_t window_end(const WindowAxis &axis, std::int64_t output) {
    return window_begin(axis, output) + window_span(axis);
}

/// Return the taps with source positions within [low, high). There are `count` taps, `dilation` apart; the
/// first one is at source position `first`.
MPSCNN_INLINE Range taps_within(std::int64_t first, std::int64_t dilation, std::int64_t count,
                                std::int64_t low, std::int64_t high) {
    const std::int64_t begin = clamped(divide_up(low - first, dilation), 0, count);
    return {begin, clamped(divide_up(high - first, dilation), begin, count)};
}

/// Return the taps of an output's window whose source positions are within [low, high).
MPSCNN_INLINE Range taps_within(const WindowAxis &axis, std::int64_t output, std::int64_t low,
                                std::int64_t high) {
    return taps_within(window_begin(axis, output), axis.dilation, axis.kernel, low, high);
}

} // namespace
} // namespace mpscnn::cpu
