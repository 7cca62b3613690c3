#pragma once

// Long streams of floats, each read once.

#include <cstdint>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Floats ahead of a loop that are asked for. Processors look ahead too, but within a page of memory only,
/// and hardly where several sources take turns or lie as far after their pages' beginnings as the
/// destination does.
inline constexpr std::int64_t stream_ahead = 512;

/// Asks for what a loop over a stream reads after this block of `count` floats.
template <int count> MPSCNN_INLINE void prefetch(const float *block) {
    constexpr int line = 16;
#pragma GCC unroll 4
    for (int at = 0; at < count; at += line) __builtin_prefetch(block + stream_ahead + at);
}

} // namespace
} // namespace mpscnn::cpu
