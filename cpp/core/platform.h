#pragma once

// All calls of the operating system but for files (core/text_file.h) and programs (core/child_process.h).

#include <cstddef>
#include <cstdint>
#include <string>

#include <signal.h>

namespace mpscnn::platform {

/// Threads that pay off in this process: the physical cores among the processors it may run on (affinity),
/// but no more than its container's share of processor time, rounded up. At least 1.
int useful_threads();

/// Processors' worth of time that control groups (version 1 or 2) leave a process whose /proc/self/cgroup
/// reads `memberships`, the group tree being mounted at `mount`; 0 without a limit. The strictest group on
/// the way to the root counts.
double processor_quota(const std::string &memberships, const std::string &mount);

/// Bytes that this process may use: the machine's memory, or less where its control groups allow less.
std::uint64_t usable_memory();

/// Bytes that control groups leave, likewise; 0 without a limit.
std::uint64_t memory_limit(const std::string &memberships, const std::string &mount);

/// The processor's name as the system gives it ("AMD EPYC 7763 64-Core Processor", "Apple M2"), else the name
/// of its architecture ("aarch64").
std::string processor_name();

/// Bytes of data that caches hold: of the first level and, counted for one core, of the second one; of the
/// last level all of it. What the system does not say is what most processors have at least.
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
