#pragma once

// Calls of the operating system, except for files (core/text_file.h), programs (core/child_process.h) and
// features of processors (core/processor.h).

#include <cstddef>
#include <cstdint>
#include <string>

#include <signal.h>

namespace mpscnn::platform {

/// The processors of this process, and the limits of its threads.
struct Processors {
    int cores = 1;      ///< physical cores of these processors; on Macs, only the fast ones
    int processors = 1; ///< processors that this process may run on (affinity)
    double quota = 0;   ///< processor time that its control groups allow, in processors; 0 without a limit
    int threads = 1;    ///< useful number of threads: one for each core, but at most the quota, rounded up
};
Processors processors();

/// Return the useful number of threads, at least 1, for this number of cores and this quota (0: no limit).
int threads_for(int cores, double quota);

/// Return processors().threads. It is the number of threads for threads="auto" and for all other defaults
/// that depend on the number of cores.
int useful_threads();

/// Return the seconds that an environment variable states, above 0 and at most a million, or `usual` if it is
/// not set or empty. With `zero_is_no_limit` it may be 0. Throws ParameterError for another text.
double seconds_of_environment(const char *variable, double usual, bool zero_is_no_limit = false);

/// Return the bytes that this process may use: the machine's memory, or the limit of the control groups if it
/// is smaller.
std::uint64_t usable_memory();

/// Return the processor's name from the system ("AMD EPYC 7763 64-Core Processor", "Apple M2"), or the name
/// of its architecture ("aarch64").
std::string processor_name();

/// Return the version and the build of the operating system, in English on every machine: "15.1 24B83".
std::string system_build();

/// Return the time at which the machine was started, in seconds since 1970; 0 if the system reports none.
std::int64_t boot_time();

/// The sizes of the data caches in bytes: L1, the L2 of one core, and the whole last-level cache. Each
/// default, for systems that do not report the size, is a size that most processors reach.
struct CacheSizes {
    std::size_t first = 32 << 10, second = 512 << 10, last = 8 << 20;
};
CacheSizes cache_sizes();

/// Return the number of forks between the first call and this process. A forked child has a larger number
/// than its parent, whose threads do not exist in it. The function is fast. Its first call installs the
/// handler of forks.
unsigned fork_generation();

/// Return memory aligned to `alignment`, a power of two, to be released by std::free; null if there is not
/// enough. A large block uses huge pages if the system has them, which avoids most page faults at first use.
void *allocate(std::size_t bytes, std::size_t alignment) noexcept;

/// Return zeroed memory from the system, aligned to `alignment`, a multiple of the page size; null if there
/// is not enough.
void *map_pages(std::size_t bytes, std::size_t alignment) noexcept;
void unmap_pages(void *memory, std::size_t bytes) noexcept;

/// While this object exists, the calling thread and threads that it starts receive no signals. So worker
/// threads never run signal handlers of the program that embeds them. Signals of faults, such as SIGSEGV, are
/// not blocked, because crash reporters need them.
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
