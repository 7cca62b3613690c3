// Preloaded into a Python process: allocations of libmpscnn fail on demand, and those of other libraries do
// not. Strings do not fail, because the C++ library allocates them for all callers. test_failing_memory.py
// builds this file, for glibc only.

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <new>

#include <link.h>

extern "C" void *__libc_malloc(std::size_t bytes);
extern "C" void *__libc_memalign(std::size_t alignment, std::size_t bytes);

namespace {

struct Range {
    const char *begin, *end;
};
Range core{};

std::atomic<long> position{0}, tried{0}, live{0};
std::atomic<bool> for_ever{false};

int note_core(dl_phdr_info *info, std::size_t, void *) {
    const char *slash = std::strrchr(info->dlpi_name, '/');
    const char *name = slash ? slash + 1 : info->dlpi_name;
    if (std::strncmp(name, "libmpscnn.", 10) != 0) return 0;
    core.begin = reinterpret_cast<const char *>(info->dlpi_addr);
    for (int i = 0; i < info->dlpi_phnum; ++i)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X))
            core.end = core.begin + info->dlpi_phdr[i].p_vaddr + info->dlpi_phdr[i].p_memsz;
    return 1;
}

bool fails(const void *caller) {
    if (position == 0 || caller < core.begin || caller >= core.end) return false;
    const long number = ++tried;
    return number == position || (for_ever && number > position);
}

void *allocated(void *block) {
    if (block) ++live;
    return block;
}

void released(void *block) {
    if (block) --live;
    std::free(block);
}

} // namespace

extern "C" {
void failing_begin(long at, int from_there_on) {
    dl_iterate_phdr(note_core, nullptr);
    tried = 0;
    for_ever = from_there_on != 0;
    position = at;
}
/// Stop the failures, and return the position that failing_resume needs.
long failing_pause() { return position.exchange(0); }
void failing_resume(long at) { position = at; }
long failing_tried() { return tried; }
long failing_live() { return live; }

void *malloc(std::size_t bytes) {
    if (fails(__builtin_return_address(0))) return errno = ENOMEM, nullptr;
    return __libc_malloc(bytes);
}
void *aligned_alloc(std::size_t alignment, std::size_t bytes) {
    if (fails(__builtin_return_address(0))) return errno = ENOMEM, nullptr;
    return __libc_memalign(alignment, bytes);
}
}

void *operator new(std::size_t bytes) {
    if (fails(__builtin_return_address(0))) throw std::bad_alloc();
    return allocated(__libc_malloc(bytes));
}
void *operator new[](std::size_t bytes) {
    if (fails(__builtin_return_address(0))) throw std::bad_alloc();
    return allocated(__libc_malloc(bytes));
}
void *operator new(std::size_t bytes, const std::nothrow_t &) noexcept {
    return fails(__builtin_return_address(0)) ? nullptr : allocated(__libc_malloc(bytes));
}
void *operator new(std::size_t bytes, std::align_val_t alignment) {
    if (fails(__builtin_return_address(0))) throw std::bad_alloc();
    return allocated(__libc_memalign(static_cast<std::size_t>(alignment), bytes));
}
void operator delete(void *block) noexcept { released(block); }
void operator delete[](void *block) noexcept { released(block); }
void operator delete(void *block, std::size_t) noexcept { released(block); }
void operator delete[](void *block, std::size_t) noexcept { released(block); }
void operator delete(void *block, const std::nothrow_t &) noexcept { released(block); }
void operator delete(void *block, std::align_val_t) noexcept { released(block); }
void operator delete(void *block, std::size_t, std::align_val_t) noexcept { released(block); }
