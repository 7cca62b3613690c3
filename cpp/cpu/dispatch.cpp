#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/processor.h"
#include "cpu/kernels.h"

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
    get(static_cast<MultiplyAddLoop &>(table));
    [&]<class... TaskType>(KernelSet<std::variant<TaskType...>> &set) {
        (get(static_cast<Kernel<TaskType> &>(set)), ...);
    }(static_cast<KernelSet<Task> &>(table));
    return table;
}

struct Available {
    std::array<KernelTable, most_kernel_tables> tables{};
    std::array<const KernelTable *, most_kernel_tables> pointers{};
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
Available::Available() {
#if defined(MPSCNN_WITH_avx512)
    if (has_avx512()) add(assemble([](auto &part) { avx512::get(part); }));
#endif
#if defined(MPSCNN_WITH_avx2)
    if (has_avx2()) add(assemble([](auto &part) { avx2::get(part); }));
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
