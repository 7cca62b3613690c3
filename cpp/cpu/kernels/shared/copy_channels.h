#pragma once

// Copies and conversions of rows of numbers that do not write beyond the end.

#include <cstddef>
#include <cstdint>

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Copy with memcpy, which is tuned for large copies on each processor.
MPSCNN_INLINE void copy_floats(const float *from, float *to, std::int64_t count) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(count) * sizeof(float));
}

/// Copy a pixel's channels inline, because calling memcpy would cost as much as the copy itself. One vector
/// is copied at a time. Loading several vectors in advance, or prefetching, is 5% slower if sources
/// alternate.
template <class V> MPSCNN_INLINE void copy_channels(const float *from, float *to, std::int64_t count) {
    if (count > 256 * V::width) return copy_floats(from, to, count);
    std::int64_t c = 0;
    for (; c + V::width <= count; c += V::width) V::store(to + c, V::load(from + c));
    if (c == count) return;
    // The last vector overlaps the one before it, if there is one.
    if (c > 0) return V::store(to + count - V::width, V::load(from + count - V::width));
    V::store_partial(to, V::load_partial(from, count), count);
}

/// Copy bytes.
template <class V>
MPSCNN_INLINE void copy_channels(const std::uint8_t *from, std::uint8_t *to, std::int64_t count) {
    __builtin_memcpy(to, from, static_cast<std::size_t>(count));
}

/// Convert `count` elements, and write zeros after them up to element `end`.
template <class V, class From, class To>
MPSCNN_INLINE void convert_elements(const From *from, To *to, std::int64_t count, std::int64_t end) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width) V::store(to + i, V::load(from + i));
    if (i < count) {
        V::store_partial(to + i, V::load_partial(from + i, count - i), min(end - i, V::width));
        i += V::width;
    }
    for (; i < end; i += V::width) store_lanes<V>(to + i, V::zero(), end - i);
}

} // namespace
} // namespace mpscnn::cpu
