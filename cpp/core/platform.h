#pragma once

// All calls of the operating system but for files (core/text_file.h) and programs (core/child_process.h).

#include <cstddef>
#include <cstdint>
#include <string>

#include <signal.h>

namespace mpscnn::platform {

/// The processors of this process, and what limits its threads.
struct Processors {
    int cores = 1;      ///< physical cores among the processors
    int processors = 1; ///< processors that it may run on (affinity)
    double quota = 0;   ///< processors' worth of time that its control groups leave it; 0 without a limit
    int threads = 1;    ///< threads that pay off: one for each core, but no more than the quota, rounded up
};
Processors processors();

/// Threads that pay off on this many cores with such a quota (0: none). At least 1.
int threads_for(int cores, double quota);

/// `processors().threads`: what threads="auto" means, and all else that goes by the number of cores.
int useful_threads();

/// Bytes that this process may use: the machine's memory, or less where its control groups allow less.
std::uint64_t usable_memory();

/// The processor's name as the system gives it ("AMD EPYC 7763 64-Core Processor", "Apple M2"), else the name
/// of its architecture ("aarch64").
std::string processor_name();

/// Sizes of the data caches in bytes: L1, L2 for one core, and the whole last-level cache. Where the system
/// does not report a size, the default is one that most processors reach.
struct CacheSizes {
    std::size_t first = 32 << 10, second = 512 << 10, last = 8 << 20;
};
CacheSizes cache_sizes();

/// Changes in every forked child, whose threads are gone. Cheap; the first call installs the fork handler.
unsigned fork_generation();

/// Memory for std::free on a multiple of `alignment`, a power of two; null when there is not enough. A large
/// block is on huge pages where the system has them: very many page faults fewer when it is touched for the
/// first time.
void *allocate(std::size_t bytes, std::size_t alignment) noexcept;

/// Memory of the system's own, zeros, on a multiple of `alignment`, itself one of the page size; null when
/// there is not enough.
void *map_pages(std::size_t bytes, std::size_t alignment) noexcept;
void unmap_pages(void *memory, std::size_t bytes) noexcept;

/// While alive, keeps signals from the calling thread and from those it starts, so that workers never run the
/// handlers of the program that embeds them. Signals of faults stay, for crash reporters.
class BlockedSignals {
public:
    BlockedSignals();
    ~BlockedSignals();
    BlockedSignals(const BlockedSignals &) = delete;
    BlockedSignals &operator=(const BlockedSignals &) = delete;

private:
    sigset_t previous_;
};

} // namespace mpscnn::platform
