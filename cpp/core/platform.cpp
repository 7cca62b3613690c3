#include "core/platform.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <set>
#include <string_view>
#include <vector>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#include <sys/time.h>
#endif

#include "core/apple_system.h"
#include "core/control_groups.h"
#include "core/error.h"
#include "core/json.h"
#include "core/text.h"
#include "core/text_file.h"

#if MPSCNN_ON_IOS
extern "C" std::size_t os_proc_available_memory(void); // os/proc.h, from iOS 13 on
#endif

namespace mpscnn::platform {

namespace {

#if defined(__linux__)
/// Return the numbers of the processors that this process may run on; empty if the system does not report
/// them.
std::vector<int> allowed_processors() {
    // The kernel refuses a mask that is shorter than its own mask, whose length is unknown, so try longer
    // ones.
    for (std::size_t words = 16; words <= 4096; words *= 2) {
        std::vector<unsigned long> mask(words);
        const std::size_t bits = 8 * sizeof(unsigned long);
        if (sched_getaffinity(0, words * sizeof(unsigned long), reinterpret_cast<cpu_set_t *>(mask.data())) !=
            0) {
            if (errno == EINVAL) continue;
            return {};
        }
        std::vector<int> processors;
        for (std::size_t i = 0; i < words * bits; ++i)
            if (mask[i / bits] >> (i % bits) & 1) processors.push_back(static_cast<int>(i));
        return processors;
    }
    return {};
}

/// Return the number of physical cores of these processors. A processor with unknown topology counts as one
/// core.
int cores_of(const std::vector<int> &processors) {
    std::set<std::string> cores;
    for (int processor : processors) {
        const std::string name = std::to_string(processor);
        const std::string siblings =
            file_text(concat({"/sys/devices/system/cpu/cpu", name, "/topology/thread_siblings_list"}));
        cores.insert(siblings.empty() ? "processor " + name : siblings);
    }
    return static_cast<int>(cores.size());
}
#endif

/// The numbers of processors and physical cores that this process may run on; 0 if the system does not report
/// them.
struct Affinity {
    int processors = 0, cores = 0;
};

Affinity affinity() {
    Affinity found;
#if defined(__linux__)
    const std::vector<int> processors = allowed_processors();
    found = {static_cast<int>(processors.size()), cores_of(processors)};
#elif defined(__APPLE__)
    std::size_t size = sizeof found.cores;
    // If there are fast and slow cores, use the fast ones only, because the slow ones would delay them.
    if (sysctlbyname("hw.perflevel0.physicalcpu", &found.cores, &size, nullptr, 0) != 0 || found.cores <= 0) {
        size = sizeof found.cores;
        if (sysctlbyname("hw.physicalcpu", &found.cores, &size, nullptr, 0) != 0) found.cores = 0;
    }
#endif
    return found;
}

std::atomic<unsigned> generation{0};

void count_fork() { generation.fetch_add(1, std::memory_order_relaxed); }

} // namespace

int threads_for(int cores, double quota) {
    const double maximum = quota > 0 ? std::min(std::ceil(quota), static_cast<double>(cores)) : cores;
    return std::max(1, static_cast<int>(maximum));
}

Processors processors() {
    const int online = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
    const Affinity own = affinity();
    Processors found;
    found.processors = own.processors > 0 ? own.processors : online;
    found.cores = own.cores > 0 ? own.cores : found.processors;
    found.quota = processor_quota();
    found.threads = threads_for(found.cores, found.quota);
    return found;
}

int useful_threads() { return processors().threads; }

namespace {

#if defined(__APPLE__)
std::size_t system_number(const char *name, std::size_t otherwise) {
    std::int64_t value = 0;
    std::size_t size = sizeof value;
    return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value > 0 ? static_cast<std::size_t>(value)
                                                                           : otherwise;
}

std::string system_text(const char *name) {
    char text[256] = {};
    std::size_t size = sizeof text - 1;
    return sysctlbyname(name, text, &size, nullptr, 0) == 0 ? text : "";
}
#elif defined(__linux__)
/// Return the bytes of "48K" or "32M"; 0 for anything else.
std::size_t size_in_bytes(const std::string &text) {
    std::size_t digits = 0, bytes = 0;
    while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9')
        bytes = bytes * 10 + static_cast<std::size_t>(text[digits++] - '0');
    if (digits == text.size()) return bytes;
    return text[digits] == 'K' ? bytes << 10 : text[digits] == 'M' ? bytes << 20 : bytes;
}
#endif

} // namespace

std::uint64_t usable_memory() {
#if MPSCNN_ON_IOS
    // The system ends a process that takes more, however much memory the phone has.
    return os_proc_available_memory();
#elif defined(__APPLE__)
    return system_number("hw.memsize", std::numeric_limits<std::size_t>::max());
#else
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    const std::uint64_t machine = pages > 0 && page > 0
                                      ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page)
                                      : std::numeric_limits<std::uint64_t>::max();
    const std::uint64_t groups = memory_limit();
    return groups > 0 ? std::min(machine, groups) : machine;
#endif
}

std::string system_build() {
#if defined(__APPLE__)
    return concat({system_text("kern.osproductversion"), " ", system_text("kern.osversion")});
#else
    utsname system{};
    return uname(&system) == 0 ? concat({system.release, " ", system.version}) : "";
#endif
}

std::int64_t boot_time() {
#if defined(__APPLE__)
    timeval time{};
    std::size_t size = sizeof time;
    return sysctlbyname("kern.boottime", &time, &size, nullptr, 0) == 0 ? time.tv_sec : 0;
#else
    const std::string text = file_text("/proc/stat"); // it has the line "btime 1732756321"
    const std::size_t begin = text.find("\nbtime ");
    return begin == text.npos ? 0 : std::strtoll(text.c_str() + begin + 7, nullptr, 10);
#endif
}

CacheSizes cache_sizes() {
    CacheSizes sizes;
#if defined(__APPLE__)
    // The caches of the performance cores, if there are two kinds of cores.
    sizes.first = system_number("hw.perflevel0.l1dcachesize", system_number("hw.l1dcachesize", sizes.first));
    const std::size_t second = system_number("hw.perflevel0.l2cachesize", 0);
    if (second > 0) { // several cores share L2, and there is no third level
        sizes.second = second / system_number("hw.perflevel0.cpusperl2", 1);
        sizes.last = second;
    } else {
        sizes.second = system_number("hw.l2cachesize", sizes.second);
        sizes.last = system_number("hw.l3cachesize", sizes.last);
    }
#elif defined(__linux__)
    for (int index = 0; index < 8; ++index) {
        const std::string folder = concat({"/sys/devices/system/cpu/cpu0/cache/index", index, "/"});
        const std::string level = file_text(folder + "level");
        if (level.empty()) break;
        const std::size_t bytes = size_in_bytes(file_text(folder + "size"));
        if (bytes == 0 || file_text(folder + "type").rfind("Instruction", 0) == 0) continue;
        (level[0] == '1' ? sizes.first : level[0] == '2' ? sizes.second : sizes.last) = bytes;
    }
#endif
    sizes.last = std::max(sizes.last, sizes.second);
    return sizes;
}

std::string processor_name() {
#if defined(__APPLE__)
    if (const std::string brand = system_text("machdep.cpu.brand_string"); !brand.empty()) return brand;
#elif defined(__linux__)
    // "model name\t: AMD EPYC"; arm64 kernels have no such line.
    const std::string text = file_text("/proc/cpuinfo");
    std::string_view lines = text;
    while (!lines.empty()) {
        const std::string_view line = take_until('\n', lines);
        if (!line.starts_with("model name")) continue;
        const auto begin = line.find_first_not_of(" \t", line.find(':') + 1);
        if (begin != line.npos) return std::string(line.substr(begin));
    }
#endif
    utsname system;
    return uname(&system) == 0 ? system.machine : "unknown processor";
}

unsigned fork_generation() {
    [[maybe_unused]] static const int installed = pthread_atfork(nullptr, nullptr, count_fork);
    return generation.load(std::memory_order_relaxed);
}

void *allocate(std::size_t bytes, std::size_t alignment) noexcept {
    if (bytes > SIZE_MAX / 2) return nullptr; // rounding up would overflow
    // aligned_alloc requires a multiple of the alignment.
    const auto aligned = [whole = std::max<std::size_t>(bytes, 1)](std::size_t to) {
        return std::aligned_alloc(to, (whole + to - 1) / to * to);
    };
#if defined(MADV_HUGEPAGE)
    constexpr std::size_t huge_page = 2 << 20; // of x86-64, and of arm64 with pages of 4 KB
    // Advise only huge pages that are at least half full; the rest gets small pages.
    constexpr std::size_t waste = huge_page / 2;
    if (const std::size_t advised = (bytes + waste) / huge_page * huge_page; advised > 0) {
        void *memory = aligned(std::max(huge_page, alignment));
        if (memory)
            // The system may refuse the advice, which is harmless.
            static_cast<void>(madvise(memory, advised, MADV_HUGEPAGE));
        return memory;
    }
#endif
    return aligned(alignment);
}

void *map_pages(std::size_t bytes, std::size_t alignment) noexcept {
    const std::size_t mapped = bytes + alignment;
    void *memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto *first = static_cast<std::byte *>(memory);
    const std::size_t past = reinterpret_cast<std::uintptr_t>(first) % alignment;
    const std::size_t before = past == 0 ? 0 : alignment - past;
    if (before > 0) munmap(first, before);
    // munmap needs the beginning of a page, and pages may be larger than those that the caller counts in.
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t end = (before + bytes + page - 1) / page * page;
    if (end < mapped) munmap(first + end, mapped - end);
    return first + before;
}

void unmap_pages(void *memory, std::size_t bytes) noexcept { munmap(memory, bytes); }

double seconds_of_environment(const char *variable, double usual, bool zero_is_no_limit) {
    constexpr double max_seconds = 1e6;
    const char *text = std::getenv(variable);
    if (!text || !*text) return usual;
    char *end = nullptr;
    const double seconds = std::strtod(text, &end);
    const bool is_allowed = seconds > 0 || (zero_is_no_limit && seconds == 0);
    if (*end || !is_allowed || seconds > max_seconds)
        fail(ErrorKind::parameter, {variable, " must be a number of seconds above 0, at most ", max_seconds,
                                    zero_is_no_limit ? ", or 0 for no limit, got " : ", got ", quoted(text)});
    return seconds;
}

BlockedSignals::BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &previous_);
}

BlockedSignals::~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &previous_, nullptr); }

} // namespace mpscnn::platform
