#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>
#include <utility>

namespace mpscnn {

/// Allocation of `count` elements on a 64-byte boundary (a cache line and the widest vector), with 64 spare
/// bytes behind the end so that a kernel may read one whole vector past it. Elements are not initialised.
template <class T> class AlignedBuffer {
public:
    static constexpr std::size_t alignment = 64;

    AlignedBuffer() = default;
    explicit AlignedBuffer(std::size_t count) : size_(count) {
        if (count > (static_cast<std::size_t>(-1) - 2 * alignment) / sizeof(T)) throw std::bad_alloc();
        const std::size_t bytes = (count * sizeof(T) + 2 * alignment - 1) / alignment * alignment;
        data_ = static_cast<T *>(std::aligned_alloc(alignment, bytes));
        if (!data_) throw std::bad_alloc();
    }
    AlignedBuffer(AlignedBuffer &&other) noexcept
        : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
    AlignedBuffer &operator=(AlignedBuffer &&other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        return *this;
    }
    ~AlignedBuffer() { std::free(data_); }

    T *data() { return data_; }
    const T *data() const { return data_; }
    std::size_t size() const { return size_; }
    T &operator[](std::size_t index) { return data_[index]; }
    const T &operator[](std::size_t index) const { return data_[index]; }

private:
    T *data_ = nullptr;
    std::size_t size_ = 0;
};

} // namespace mpscnn
