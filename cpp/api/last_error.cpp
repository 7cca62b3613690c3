#include "api/guard.h"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include <pthread.h>

namespace mpscnn::c_api {

namespace {

constexpr char no_memory[] = "out of memory while an error was reported";

/// A thread's message is a malloc block, stored under a key of the C library. It is not a thread_local
/// variable: a thread's first use of such a variable allocates memory, and the process ends if there is none.
/// `free` releases the block when its thread ends. That may be after this library was unloaded, so the key is
/// never deleted.
struct Key {
    Key() : made(pthread_key_create(&key, std::free) == 0) {}

    pthread_key_t key{};
    const bool made;
};

const Key &key() {
    static const Key instance;
    return instance;
}

/// True if some thread had an error and no memory for its first message.
std::atomic<bool> message_lost{false};

char *block() { return key().made ? static_cast<char *>(pthread_getspecific(key().key)) : nullptr; }

/// Replace the thread's block by a new one. Return null if there is no memory.
char *new_block(std::size_t bytes) {
    if (!key().made) return nullptr;
    void *made = std::malloc(std::max(bytes, sizeof no_memory));
    if (!made) return nullptr;
    char *before = block();
    if (pthread_setspecific(key().key, made) != 0) {
        std::free(made);
        return nullptr;
    }
    std::free(before);
    return static_cast<char *>(made);
}

} // namespace

const char *last_error() noexcept {
    if (const char *text = block()) return text;
    return message_lost.load(std::memory_order_relaxed) ? no_memory : "";
}

void set_last_error(const char *text) noexcept {
    const std::size_t bytes = std::strlen(text) + 1;
    if (char *made = new_block(bytes))
        std::memcpy(made, text, bytes);
    else if (char *before = block())
        std::memcpy(before, no_memory, sizeof no_memory);
    else
        message_lost.store(true, std::memory_order_relaxed);
}

} // namespace mpscnn::c_api
