#include "core/memory.h"

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "core/error.h"
#include "core/platform.h"

namespace mpscnn {

namespace {

void *default_allocate(std::size_t bytes, std::size_t alignment, void *) {
    return platform::allocate(bytes, alignment);
}

void default_release(void *memory, std::size_t, void *) { std::free(memory); }

constexpr Allocator default_allocator{default_allocate, default_release, nullptr};

Allocator current = default_allocator;
/// The number of blocks that are allocated now.
std::atomic<std::int64_t> blocks{0};

} // namespace

OutOfMemory::OutOfMemory(std::size_t bytes) noexcept {
    std::snprintf(message_, sizeof message_, "out of memory: %zu bytes cannot be allocated", bytes);
}

OutOfMemory::OutOfMemory(const char *message) noexcept {
    std::snprintf(message_, sizeof message_, "%s", message);
}

const char *OutOfMemory::what() const noexcept { return message_; }

void set_allocator(const Allocator &allocator) {
    if (const std::int64_t in_use = blocks.load(); in_use != 0)
        fail(ErrorKind::state, {"the allocator cannot be changed while ", in_use,
                                " blocks of memory are in use: release all programs and sessions first"});
    current = allocator.allocate ? allocator : default_allocator;
}

void *allocate_memory(std::size_t bytes) {
    if (bytes > SIZE_MAX - memory_alignment) throw OutOfMemory(bytes);
    void *memory = current.allocate(bytes, memory_alignment, current.context);
    if (!memory) throw OutOfMemory(bytes);
    if (reinterpret_cast<std::uintptr_t>(memory) % memory_alignment != 0) {
        current.release(memory, bytes, current.context);
        fail(ErrorKind::parameter,
             {"the allocator returned memory that is not aligned to ", memory_alignment, " bytes"});
    }
    blocks.fetch_add(1);
    return memory;
}

void release_memory(void *memory, std::size_t bytes) noexcept {
    if (!memory) return;
    current.release(memory, bytes, current.context);
    blocks.fetch_sub(1);
}

} // namespace mpscnn
