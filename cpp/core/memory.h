#pragma once

#include <cstddef>
#include <new>

namespace mpscnn {

/// The functions that allocate arenas and packed weights.
struct Allocator {
    void *(*allocate)(std::size_t bytes, std::size_t alignment, void *context) = nullptr;
    void (*release)(void *memory, std::size_t bytes, void *context) = nullptr;
    void *context = nullptr;
};

/// Set the allocator; one without functions restores the default. No other function of the library may run at
/// the same time. Throws StateError while memory of the current allocator is in use.
void set_allocator(const Allocator &allocator);

/// An exception whose message has the number of requested bytes. The message is inside the object, because
/// there may be no memory for it.
class OutOfMemory : public std::bad_alloc {
public:
    explicit OutOfMemory(std::size_t bytes) noexcept;
    explicit OutOfMemory(const char *message) noexcept;
    const char *what() const noexcept override;

private:
    char message_[80];
};

/// The alignment in bytes of the memory that allocate_memory() returns.
inline constexpr std::size_t memory_alignment = 64;
/// Throws OutOfMemory if there is not enough memory, and ParameterError if the allocator returns memory with
/// another alignment.
void *allocate_memory(std::size_t bytes);
void release_memory(void *memory, std::size_t bytes) noexcept;

} // namespace mpscnn
