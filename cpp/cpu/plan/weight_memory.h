#pragma once

#include <cstddef>
#include <memory>
#include <mutex>

#include "core/aligned_buffer.h"

namespace mpscnn::cpu {

/// Floats in memory that is shared with others, on a 64-byte boundary, which a kernel may read one whole
/// vector past.
class WeightBuffer {
public:
    WeightBuffer() = default;
    WeightBuffer(std::shared_ptr<float> first, std::size_t size) : first_(std::move(first)), size_(size) {}
    /// Somebody else's memory, of the same kind; null: only the size is known yet. Allocates nothing.
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

/// Puts the packed weights of a network side by side: large blocks lie on huge pages, which the system hands
/// out and the processor finds more quickly than many small ones. Blocks live as long as what lies in them.
class WeightMemory {
public:
    /// About this many bytes will be taken in all.
    explicit WeightMemory(std::size_t expected_bytes) : next_block_(expected_bytes) {}

    /// For several threads at once.
    WeightBuffer take(std::size_t floats);

private:
    using Block = AlignedBuffer<std::byte>;

    std::mutex mutex_;
    std::size_t next_block_, used_ = 0;
    std::shared_ptr<Block> block_;
};

} // namespace mpscnn::cpu
