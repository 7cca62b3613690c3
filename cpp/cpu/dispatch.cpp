#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "cpu/kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mpscnn::cpu {

#if defined(__x86_64__)
namespace baseline {
#include "cpu/instance_functions.h"
}
#if defined(MPSCNN_WITH_avx2)
namespace avx2 {
#include "cpu/instance_functions.h"
}
#endif
#if defined(MPSCNN_WITH_avx512)
namespace avx512 {
#include "cpu/instance_functions.h"
}
#endif
#elif defined(__aarch64__)
namespace neon {
#include "cpu/instance_functions.h"
}
#else
#error "the CPU engine has kernels for x86-64 and arm64"
#endif

namespace {

constexpr std::string_view known_names[] = {"baseline", "avx2", "avx512", "neon"};

/// The table whose parts `get` fills in. Runs the set's code, so the processor must have it.
template <class Get> KernelTable assemble(Get get) {
    KernelTable table;
    get(static_cast<VectorTraits &>(table));
    get(static_cast<HalfConversion &>(table));
    get(static_cast<ConvolutionPacking &>(table));
    get(static_cast<NeuronFunctions &>(table));
    get(static_cast<SignalKernels &>(table));
    [&]<class... TaskType>(KernelSet<std::variant<TaskType...>> &set) {
        (get(static_cast<Kernel<TaskType> &>(set)), ...);
    }(static_cast<KernelSet<Task> &>(table));
    return table;
}

struct Available {
    std::array<KernelTable, 3> tables{};
    std::array<const KernelTable *, 3> pointers{};
    std::size_t count = 0;

    Available();
    Available(const Available &) = delete; // points into itself
    Available &operator=(const Available &) = delete;

    void add(const KernelTable &table) {
        tables[count] = table;
        pointers[count] = &tables[count];
        ++count;
    }
    std::span<const KernelTable *const> all() const { return {pointers.data(), count}; }
};

#if defined(__x86_64__)
struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf) {
    Registers r;
    if (!__get_cpuid_count(leaf, 0, &r.a, &r.b, &r.c, &r.d)) return {};
    return r;
}

/// Which register states the operating system saves (XCR0).
unsigned saved_states() {
    unsigned low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool has(unsigned value, unsigned bits) { return (value & bits) == bits; }

Available::Available() {
    const Registers basic = cpuid(1), extended = cpuid(7);
    constexpr unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
    constexpr unsigned avx2_bit = 1u << 5, avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
    constexpr unsigned ymm_state = 0x6, zmm_state = 0xe6;
    const unsigned states = has(basic.c, osxsave) ? saved_states() : 0;
    const bool runs_avx2 =
        has(basic.c, fma | avx | f16c) && has(extended.b, avx2_bit) && has(states, ymm_state);
    [[maybe_unused]] const bool runs_avx512 =
        runs_avx2 && has(extended.b, avx512_f_dq_bw_vl) && has(states, zmm_state);
#if defined(MPSCNN_WITH_avx512)
    if (runs_avx512) add(assemble([](auto &part) { avx512::get(part); }));
#endif
#if defined(MPSCNN_WITH_avx2)
    if (runs_avx2) add(assemble([](auto &part) { avx2::get(part); }));
#endif
    add(assemble([](auto &part) { baseline::get(part); }));
}
#else
Available::Available() {
    add(assemble([](auto &part) { neon::get(part); }));
}
#endif

std::string list_of(std::span<const KernelTable *const> tables) {
    std::string names;
    for (const KernelTable *table : tables) names += (names.empty() ? "" : ", ") + std::string(table->name);
    return names;
}

} // namespace

std::span<const KernelTable *const> available_kernels() {
    static const Available available;
    return available.all();
}

const KernelTable &kernels(const char *name) {
    const auto available = available_kernels();
    const std::string_view wanted = name;
    for (const KernelTable *table : available)
        if (wanted == table->name) return *table;
    // What every arm64 processor has is its baseline.
    if (wanted == "baseline") return *available.back();
    for (std::string_view known : known_names)
        if (wanted == known)
            fail(ErrorKind::unsupported, "this processor lacks the instruction set '" + std::string(wanted) +
                                             "', or this build its kernels; there are " + list_of(available));
    fail(ErrorKind::parameter, "unknown instruction set '" + std::string(wanted) +
                                   "': expected baseline, avx2, avx512 or neon (this processor has " +
                                   list_of(available) + ")");
}

const KernelTable &kernels() {
    const char *chosen = std::getenv("MPSCNN_CPU");
    return chosen && *chosen ? kernels(chosen) : *available_kernels().front();
}

} // namespace mpscnn::cpu
