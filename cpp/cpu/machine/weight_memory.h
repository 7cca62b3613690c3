#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "core/aligned_buffer.h"

namespace mpscnn::cpu {

/// Floats on a 64-byte boundary in memory that several buffers share. A kernel may read one whole vector past
/// their end.
class WeightBuffer {
public:
    WeightBuffer() = default;
    WeightBuffer(std::shared_ptr<float> first, std::size_t size) : first_(std::move(first)), size_(size) {}
    /// Return a view of memory that belongs to another object. A null pointer means that only the size is
    /// known so far. This allocates nothing.
    static WeightBuffer view(float *first, std::size_t size) {
        return {std::shared_ptr<float>(std::shared_ptr<float>(), first), size};
    }

    float *data() { return first_.get(); }
    const float *data() const { return first_.get(); }
    std::size_t size() const { return size_; }

private:
    std::shared_ptr<float> first_;
    std::size_t size_ = 0;
};

/// Allocates the packed weights of a network next to each other in large blocks. Large blocks can use huge
/// pages, so they are faster to allocate and to access than many small ones. A block lives as long as any
/// weights in it.
class WeightMemory {
public:
    /// Expect about this many bytes in total.
    explicit WeightMemory(std::size_t expected_bytes) : next_block_(expected_bytes) {}

    /// Return memory; several threads may call this at the same time.
    WeightBuffer take(std::size_t floats);

private:
    using Block = AlignedBuffer<std::byte>;

    std::mutex mutex_;
    std::size_t next_block_, used_ = 0;
    std::shared_ptr<Block> block_;
};

} // namespace mpscnn::cpu
