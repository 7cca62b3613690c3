#pragma once

#include <cstddef>
#include <memory>

namespace mpscnn {

/// Whole pages from the system, filled with zeros. A GPU can use them directly, so arrays in them need no
/// copy. They are freed when the last shared pointer goes; a GPU buffer over them holds one too.
class PageMemory {
public:
    /// Every page size of Macs divides this.
    static constexpr std::size_t page_bytes = 16384;

    /// At least `bytes`. Throws OutOfMemory.
    static std::shared_ptr<PageMemory> allocate(std::size_t bytes);
    /// The pages in which all of [memory, memory + bytes) lies; nothing for memory from elsewhere.
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
