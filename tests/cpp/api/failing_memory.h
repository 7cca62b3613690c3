#pragma once

// Memory and threads that fail on demand, for a program that links the library statically. It replaces
// operator new and the library's allocator. If the build allows replacing functions of glibc, it also
// replaces the library's mmap, and the malloc, calloc and pthread_create of the C and C++ libraries.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "mpscnn/mpscnn.h"

#if defined(MPSCNN_REPLACEABLE_C_LIBRARY) && defined(__GLIBC__)
#define FAILING_C_LIBRARY
#endif

#ifdef FAILING_C_LIBRARY
#include <cerrno>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/mman.h>

extern "C" void *__libc_malloc(std::size_t bytes);
extern "C" void *__libc_calloc(std::size_t count, std::size_t bytes);
#endif

namespace failing {

/// Chooses the attempts that fail: attempt number `position`, counted from 1, and with `for_ever` all later
/// ones. Any thread may make attempts.
class Source {
public:
    void begin(long position, bool for_ever) {
        tried_ = 0;
        for_ever_ = for_ever;
        position_ = position;
    }
    void end() { position_ = never; }
    /// Let all attempts succeed until `resume`.
    long pause() { return position_.exchange(never); }
    void resume(long position) { position_ = position; }
    long tried() const { return tried_; }

    bool fails() {
        const long position = position_.load();
        if (position == never) return false;
        const long number = ++tried_;
        return number == position || (for_ever_ && number > position);
    }

private:
    static constexpr long never = 0;
    std::atomic<long> position_{never}, tried_{0};
    std::atomic<bool> for_ever_{false};
};

inline Source memory, threads;
/// The number of live blocks of operator new and the library's allocator, and the live bytes of mmap.
inline std::atomic<long> live{0}, mapped{0};

inline void *plain_malloc(std::size_t bytes) {
#ifdef FAILING_C_LIBRARY
    return __libc_malloc(bytes);
#else
    return std::malloc(bytes);
#endif
}

inline void *counted(void *block) {
    if (block) ++live;
    return block;
}

inline void release(void *block) noexcept {
    if (block) --live;
    std::free(block);
}

inline void *new_or_null(std::size_t bytes) noexcept {
    return memory.fails() ? nullptr : counted(plain_malloc(bytes > 0 ? bytes : 1));
}

inline void *aligned_or_null(std::size_t bytes, std::size_t alignment) noexcept {
    if (memory.fails()) return nullptr;
    return counted(std::aligned_alloc(alignment, (bytes / alignment + 1) * alignment));
}

inline void *or_throw(void *block) {
    if (!block) throw std::bad_alloc();
    return block;
}

inline mpscnn_status use_as_allocator() {
    return mpscnn_set_allocator(
        [](std::size_t bytes, std::size_t alignment, void *) { return aligned_or_null(bytes, alignment); },
        [](void *block, std::size_t, void *) { release(block); }, nullptr);
}

} // namespace failing

// NOLINTBEGIN(misc-definitions-in-headers): one program, one file.
void *operator new(std::size_t bytes) { return failing::or_throw(failing::new_or_null(bytes)); }
void *operator new[](std::size_t bytes) { return failing::or_throw(failing::new_or_null(bytes)); }
void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept { return failing::new_or_null(bytes); }
void *operator new[](std::size_t bytes, const std::nothrow_t &) noexcept {
    return failing::new_or_null(bytes);
}
void *operator new(std::size_t bytes, std::align_val_t alignment) {
    return failing::or_throw(failing::aligned_or_null(bytes, static_cast<std::size_t>(alignment)));
}
void *operator new[](std::size_t bytes, std::align_val_t alignment) {
    return failing::or_throw(failing::aligned_or_null(bytes, static_cast<std::size_t>(alignment)));
}
void operator delete(void *block) noexcept { failing::release(block); }
void operator delete[](void *block) noexcept { failing::release(block); }
void operator delete(void *block, std::size_t) noexcept { failing::release(block); }
void operator delete[](void *block, std::size_t) noexcept { failing::release(block); }
void operator delete(void *block, const std::nothrow_t &) noexcept { failing::release(block); }
void operator delete[](void *block, const std::nothrow_t &) noexcept { failing::release(block); }
void operator delete(void *block, std::align_val_t) noexcept { failing::release(block); }
void operator delete[](void *block, std::align_val_t) noexcept { failing::release(block); }
void operator delete(void *block, std::size_t, std::align_val_t) noexcept { failing::release(block); }
void operator delete[](void *block, std::size_t, std::align_val_t) noexcept { failing::release(block); }

#ifdef FAILING_C_LIBRARY
extern "C" void *malloc(std::size_t bytes) {
    return failing::memory.fails() ? (errno = ENOMEM, nullptr) : __libc_malloc(bytes);
}
extern "C" void *calloc(std::size_t count, std::size_t bytes) {
    return failing::memory.fails() ? (errno = ENOMEM, nullptr) : __libc_calloc(count, bytes);
}
extern "C" void *mmap(void *where, std::size_t bytes, int access, int flags, int file, off_t offset) {
    static const auto map = reinterpret_cast<decltype(&mmap)>(dlsym(RTLD_NEXT, "mmap"));
    if (failing::memory.fails()) return errno = ENOMEM, MAP_FAILED;
    void *memory = map(where, bytes, access, flags, file, offset);
    if (memory != MAP_FAILED) failing::mapped += static_cast<long>(bytes);
    return memory;
}
extern "C" int munmap(void *memory, std::size_t bytes) {
    static const auto unmap = reinterpret_cast<decltype(&munmap)>(dlsym(RTLD_NEXT, "munmap"));
    const int result = unmap(memory, bytes);
    if (result == 0) failing::mapped -= static_cast<long>(bytes);
    return result;
}
extern "C" int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                              void *argument) {
    using Create = decltype(&pthread_create);
    static const auto create = reinterpret_cast<Create>(dlsym(RTLD_NEXT, "pthread_create"));
    return failing::threads.fails() ? EAGAIN : create(thread, attributes, start, argument);
}
#endif
// NOLINTEND(misc-definitions-in-headers)
