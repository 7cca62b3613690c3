#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/processor.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

#if defined(__x86_64__)
namespace baseline {
#include "cpu/isa/instance_functions.h"
}
#if defined(MPSCNN_WITH_avx2)
namespace avx2 {
#include "cpu/isa/instance_functions.h"
}
#endif
#if defined(MPSCNN_WITH_avx512)
namespace avx512 {
#include "cpu/isa/instance_functions.h"
}
namespace avx512_bf16 {
void get(Bfloat16Kernels &);
}
#endif
#elif defined(__aarch64__)
namespace neon {
#include "cpu/isa/instance_functions.h"
}
namespace neon_bf16 {
void get(Bfloat16Kernels &);
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
    get(static_cast<FmaLoop &>(table));
    [&]<class... TaskType>(KernelSet<std::variant<TaskType...>> &set) {
        const auto get_kernel = [&]<class T>(Kernel<T> &kernel) {
            if constexpr (!std::is_same_v<T, ConversionTask>) get(kernel);
        };
        (get_kernel(static_cast<Kernel<TaskType> &>(set)), ...);
    }(static_cast<KernelSet<Task> &>(table));
    return table;
}

[[maybe_unused]] void add_bfloat16(KernelTable &table, const Bfloat16Kernels &kernels) {
    table.bfloat16 = kernels;
    static_cast<Kernel<ConversionTask> &>(table) = kernels.conversion;
}

struct Available {
    std::array<KernelTable, most_kernel_tables> tables{};
    std::array<const KernelTable *, most_kernel_tables> pointers{};
    std::size_t count = 0;

    Available();
    Available(const Available &) = delete; // points into itself
    Available &operator=(const Available &) = delete;

    KernelTable &add(const KernelTable &table) {
        tables[count] = table;
        pointers[count] = &tables[count];
        return tables[count++];
    }
    std::span<const KernelTable *const> all() const { return {pointers.data(), count}; }
};

#if defined(__x86_64__)
Available::Available() {
#if defined(MPSCNN_WITH_avx512)
    if (has_avx512()) {
        KernelTable &table = add(assemble([](auto &part) { avx512::get(part); }));
        table.why_no_bfloat16 = "this processor has no AVX512_BF16";
        if (has_avx512_bf16()) {
            Bfloat16Kernels kernels;
            avx512_bf16::get(kernels);
            add_bfloat16(table, kernels);
        }
    }
#endif
#if defined(MPSCNN_WITH_avx2)
    if (has_avx2()) add(assemble([](auto &part) { avx2::get(part); }));
#endif
    add(assemble([](auto &part) { baseline::get(part); }));
    for (std::size_t i = 0; i < count; ++i)
        if (!tables[i].why_no_bfloat16)
            tables[i].why_no_bfloat16 = has_avx512_bf16() ? "only the kernels for avx512 have AVX512_BF16"
                                                          : "this processor has no AVX512_BF16";
}
#else
Available::Available() {
    KernelTable &table = add(assemble([](auto &part) { neon::get(part); }));
    table.why_no_bfloat16 = "this processor has no bfloat16 instructions (FEAT_BF16)";
    if (has_arm_bfloat16()) {
        Bfloat16Kernels kernels;
        neon_bf16::get(kernels);
        add_bfloat16(table, kernels);
    }
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
            fail(ErrorKind::unsupported, {"this processor lacks the instruction set '", wanted,
                                          "', or this build its kernels; there are ", list_of(available)});
    fail(ErrorKind::parameter,
         {"unknown instruction set '", wanted,
          "': expected baseline, avx2, avx512 or neon (this processor has ", list_of(available), ")"});
}

const KernelTable &kernels() {
    const char *chosen = std::getenv("MPSCNN_CPU");
    return chosen && *chosen ? kernels(chosen) : *available_kernels().front();
}

} // namespace mpscnn::cpu
