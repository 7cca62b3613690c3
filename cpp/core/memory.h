#pragma once

#include <cstddef>
#include <new>

namespace mpscnn {

/// Where arenas and packed weights come from.
struct Allocator {
    void *(*allocate)(std::size_t bytes, std::size_t alignment, void *context) = nullptr;
    void (*release)(void *memory, std::size_t bytes, void *context) = nullptr;
    void *context = nullptr;
};

/// One without functions restores the default. Not for use next to other calls; throws StateError while
/// memory of the present allocator is in use.
void set_allocator(const Allocator &allocator);

/// Says how much was asked for; in memory of its own, since there may be none.
class OutOfMemory : public std::bad_alloc {
public:
    explicit OutOfMemory(std::size_t bytes) noexcept;
    explicit OutOfMemory(const char *message) noexcept;
    const char *what() const noexcept override;

private:
    char message_[80];
};

/// Memory on a 64-byte boundary. Throws OutOfMemory.
inline constexpr std::size_t memory_alignment = 64;
void *allocate_memory(std::size_t bytes);
void release_memory(void *memory, std::size_t bytes) noexcept;

} // namespace mpscnn
