#pragma once

// Integer arithmetic for kernel headers, which may not use the C++ library (see simd.h).

#include <cstdint>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

MPSCNN_INLINE std::int64_t min(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
MPSCNN_INLINE std::int64_t max(std::int64_t a, std::int64_t b) { return a < b ? b : a; }
MPSCNN_INLINE std::int64_t clamped(std::int64_t x, std::int64_t low, std::int64_t high) {
    return x < low ? low : (x > high ? high : x);
}
/// Return a / b rounded up; a may be negative, b is positive.
MPSCNN_INLINE std::int64_t divide_up(std::int64_t a, std::int64_t b) {
    return a > 0 ? (a + b - 1) / b : -(-a / b);
}
/// Return a rounded up to a multiple of b.
MPSCNN_INLINE std::int64_t round_up(std::int64_t a, std::int64_t b) { return divide_up(a, b) * b; }

/// The integers from begin to end - 1.
struct Range {
    std::int64_t begin, end;
    MPSCNN_INLINE bool empty() const { return begin >= end; }
    MPSCNN_INLINE std::int64_t size() const { return end - begin; }
    friend bool operator==(const Range &, const Range &) = default;
};

/// Divide [0, count) into `parts` ranges whose sizes differ by at most one, and return range number `index`.
MPSCNN_INLINE Range part_of(std::int64_t count, std::int64_t parts, std::int64_t index) {
    return {count * index / parts, count * (index + 1) / parts};
}

} // namespace
} // namespace mpscnn::cpu
