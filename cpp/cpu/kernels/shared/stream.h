#pragma once

// Prefetching for loops that read long streams of floats once.

#include <cstdint>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// The prefetch distance of a loop in floats. Hardware prefetchers stop at the end of a page. They do badly
/// if several sources alternate, or if a source has the same page offset as the destination.
inline constexpr std::int64_t stream_ahead = 512;

/// Prefetch the floats that are `stream_ahead` floats after this block of `count` floats.
template <int count> MPSCNN_INLINE void prefetch(const float *block) {
    constexpr int line = 16;
#pragma GCC unroll 4
    for (int at = 0; at < count; at += line) __builtin_prefetch(block + stream_ahead + at);
}

} // namespace
} // namespace mpscnn::cpu
