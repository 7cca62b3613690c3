#pragma once

#include <cstddef>
#include <utility>

#include "core/memory.h"

namespace mpscnn {

/// `count` uninitialised elements on a 64-byte boundary (a cache line and the widest vector). There are 64
/// spare bytes after the end, so a kernel may read one whole vector past it.
template <class T> class AlignedBuffer {
public:
    AlignedBuffer() = default;
    explicit AlignedBuffer(std::size_t count) : size_(count) {
        constexpr std::size_t all =
            static_cast<std::size_t>(-1); // no machine has this much, so allocate_memory() throws
        data_ = static_cast<T *>(allocate_memory(count > (all - spare_bytes) / sizeof(T) ? all : bytes()));
    }
    AlignedBuffer(AlignedBuffer &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    AlignedBuffer &operator=(AlignedBuffer &&other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~AlignedBuffer() { release_memory(data_, bytes()); }

    T *data() { return data_; }
    const T *data() const { return data_; }
    std::size_t size() const { return size_; }
    T &operator[](std::size_t index) { return data_[index]; }
    const T &operator[](std::size_t index) const { return data_[index]; }

private:
    static constexpr std::size_t spare_bytes = 64;
    std::size_t bytes() const { return size_ * sizeof(T) + spare_bytes; }

    T *data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace mpscnn
