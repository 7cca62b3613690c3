#pragma once

#include <cstddef>
#include <vector>

namespace mpscnn::engine {

/// A buffer that holds a value from step `first` to step `last`, both included.
struct BufferLifetime {
    std::size_t bytes = 0;
    int first = 0, last = 0;
};

/// Places of buffers in one arena.
struct MemoryPlan {
    /// Alignment of every offset in bytes: the size of a cache line and of the widest vector.
    static constexpr std::size_t alignment = 64;

    std::vector<std::size_t> offsets; ///< one for each buffer, in bytes
    std::size_t bytes = 0;            ///< size of the arena
};

/// Assign offsets in one arena to buffers, so that buffers with overlapping lifetimes do not overlap in
/// memory. It tries several greedy orders and takes the smallest arena, because finding the minimum is
/// NP-hard (Garey and Johnson, dynamic storage allocation).
MemoryPlan plan_memory(const std::vector<BufferLifetime> &buffers);

/// Return the largest number of bytes that are alive in one step. No arena can be smaller.
std::size_t peak_live_bytes(const std::vector<BufferLifetime> &buffers);

} // namespace mpscnn::engine
