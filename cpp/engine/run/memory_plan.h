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
    /// Alignment of every offset: a cache line, the widest vector.
    static constexpr std::size_t alignment = 64;

    std::vector<std::size_t> offsets; ///< one for each buffer, in bytes
    std::size_t bytes = 0;            ///< size of the arena
};

/// Shares an arena between buffers whose lifetimes do not overlap. Tries several greedy orders and takes the
/// one with the smallest arena: finding the minimum is NP-hard (Garey and Johnson, dynamic storage
/// allocation).
MemoryPlan plan_memory(const std::vector<BufferLifetime> &buffers);

/// Largest number of bytes alive in one step: no arena can be smaller.
std::size_t peak_live_bytes(const std::vector<BufferLifetime> &buffers);

} // namespace mpscnn::engine
