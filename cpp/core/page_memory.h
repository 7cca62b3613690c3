#pragma once

#include <cstddef>
#include <memory>

namespace mpscnn {

/// Whole memory pages from the system, filled with zeros. A GPU can use them directly, so arrays in them need
/// no copy. The last shared pointer frees them, and a GPU buffer over them holds one as well.
class PageMemory {
public:
    /// The size of a block is a multiple of this. It is a multiple of every page size of Macs.
    static constexpr std::size_t page_bytes = 16384;

    /// Allocate at least `bytes`. Throws OutOfMemory.
    static std::shared_ptr<PageMemory> allocate(std::size_t bytes);
    /// Return the object whose pages contain all of [memory, memory + bytes). Return null for other memory.
    static std::shared_ptr<PageMemory> containing(const void *memory, std::size_t bytes);

    ~PageMemory();
    PageMemory(const PageMemory &) = delete;
    PageMemory &operator=(const PageMemory &) = delete;

    std::byte *data() const { return data_; }
    std::size_t bytes() const { return bytes_; }

private:
    explicit PageMemory(std::size_t bytes);

    std::byte *data_;
    std::size_t bytes_;
};

} // namespace mpscnn
