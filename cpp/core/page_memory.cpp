#include "core/page_memory.h"

#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <new>

#include "core/memory.h"
#include "core/platform.h"

namespace mpscnn {

namespace {

/// All PageMemory objects by the address of their first byte.
struct Register {
    std::mutex mutex;
    std::map<const std::byte *, std::weak_ptr<PageMemory>> blocks;
};

/// Return the register of all objects. It is never destroyed, because arrays may outlive static objects. It
/// allocates no memory, because destructors call this.
Register &known() {
    alignas(Register) static std::byte memory[sizeof(Register)];
    static Register &instance = *new (memory) Register;
    return instance;
}

} // namespace

std::shared_ptr<PageMemory> PageMemory::allocate(std::size_t bytes) {
    if (bytes > SIZE_MAX - 2 * page_bytes) throw OutOfMemory(bytes);
    const std::size_t rounded = bytes == 0 ? page_bytes : (bytes + page_bytes - 1) / page_bytes * page_bytes;
    std::shared_ptr<PageMemory> memory(new PageMemory(rounded));
    const std::lock_guard lock(known().mutex);
    known().blocks[memory->data_] = memory;
    return memory;
}

PageMemory::PageMemory(std::size_t bytes)
    : data_(static_cast<std::byte *>(platform::map_pages(bytes, page_bytes))), bytes_(bytes) {
    if (!data_) throw OutOfMemory(bytes);
}

std::shared_ptr<PageMemory> PageMemory::containing(const void *memory, std::size_t bytes) {
    const auto *first = static_cast<const std::byte *>(memory);
    std::shared_ptr<PageMemory> found; // released after the lock, because its destructor locks too
    {
        const std::lock_guard lock(known().mutex);
        const auto behind = known().blocks.upper_bound(first);
        if (behind != known().blocks.begin()) found = std::prev(behind)->second.lock();
    }
    if (!found || static_cast<std::size_t>(first - found->data_) >= found->bytes_) return nullptr;
    const std::size_t left = found->bytes_ - static_cast<std::size_t>(first - found->data_);
    return bytes <= left ? found : nullptr;
}

PageMemory::~PageMemory() {
    const std::lock_guard lock(known().mutex);
    known().blocks.erase(data_);
    // Unmap under the lock. Otherwise another thread could get the same address and register it before it is
    // erased here.
    platform::unmap_pages(data_, bytes_);
}

} // namespace mpscnn
