#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/error.h"
#include "core/processor.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {

#if defined(__x86_64__)
#if defined(MPSCNN_WITH_baseline)
namespace baseline {
#include "cpu/isa/instance_functions.h"
}
#endif
#if defined(MPSCNN_WITH_avx2)
namespace avx2 {
#include "cpu/isa/instance_functions.h"
}
namespace avx2_bf16 {
void get(Bfloat16Kernels &);
}
namespace avx2_quads {
void get(QuadKernels &);
}
namespace avx2_vnni {
void get(QuadKernels &);
}
#endif
#if defined(MPSCNN_WITH_avx512)
namespace avx512 {
#include "cpu/isa/instance_functions.h"
}
namespace avx512_fma_bf16 {
void get(Bfloat16Kernels &);
}
namespace avx512_bf16 {
void get(Bfloat16Kernels &);
}
namespace amx_bf16 {
void get(Bfloat16Kernels &);
}
namespace avx512_vnni {
void get(QuadKernels &);
}
namespace amx_int8 {
void get(Kernel<IntegerConvolutionTask> &);
}
namespace avx512_fp16 {
void get(Kernel<HalfSumsTask> &);
}
#endif
#elif defined(__aarch64__)
namespace neon {
#include "cpu/isa/instance_functions.h"
}
namespace neon_bf16 {
void get(Bfloat16Kernels &);
}
namespace neon_dot {
void get(QuadKernels &);
}
namespace neon_i8mm {
void get(QuadKernels &);
}
namespace neon_fp16 {
void get(Kernel<HalfSumsTask> &);
}
#else
#error "the CPU engine has kernels for x86-64 and arm64"
#endif

namespace {

// A set of x86-64 has kernels only if MPSCNN_WITH_<set> is defined, because a build for one machine leaves
// out all others.

constexpr std::string_view known_names[] = {"baseline", "avx2", "avx512", "amx", "neon"};

/// Assemble the kernel table of an instruction set. `get` fills in each part. It runs code of the instruction
/// set, so the processor must support the set.
template <class Get> KernelTable assemble(Get get) {
    KernelTable table;
    get(static_cast<VectorTraits &>(table));
    get(static_cast<HalfConversion &>(table));
    get(static_cast<ConvolutionPacking &>(table));
    get(static_cast<RecurrentPacking &>(table));
    get(static_cast<NeuronFunctions &>(table));
    get(static_cast<SignalKernels &>(table));
    get(static_cast<FmaLoop &>(table));
    TaskList::for_each([&]<class TaskType>() {
        if constexpr (!std::is_same_v<TaskType, ConversionTask>) get(static_cast<Kernel<TaskType> &>(table));
    });
    return table;
}

[[maybe_unused]] void add_bfloat16(KernelTable &table, Bfloat16Products products,
                                   void (*get)(Bfloat16Kernels &)) {
    get(table.bfloat16);
    table.bfloat16.products = products;
    static_cast<Kernel<ConversionTask> &>(table) = table.bfloat16.conversion;
}

struct Available {
    std::array<KernelTable, max_kernel_tables> tables{};
    std::array<const KernelTable *, max_kernel_tables> pointers{};
    std::size_t count = 0;

    Available();
    Available(const Available &) = delete; // not copyable, because it has pointers to its members
    Available &operator=(const Available &) = delete;

    KernelTable &add(const KernelTable &table) {
        tables[count] = table;
        pointers[count] = &tables[count];
        return tables[count++];
    }
    std::span<const KernelTable *const> all() const { return {pointers.data(), count}; }
};

#if defined(__x86_64__)
/// Return the order of sums that the user requests with MPSCNN_BFLOAT16. An empty text means that the fastest
/// order is chosen.
std::string_view wanted_sums() {
    const char *wanted = std::getenv("MPSCNN_BFLOAT16");
    return wanted ? wanted : "";
}

#if defined(MPSCNN_WITH_avx512)
/// Return the kernels for AVX-512 and for its extensions on this processor. The bfloat16 kernels are added
/// later.
KernelTable avx512_table() {
    KernelTable table = assemble([](auto &part) { avx512::get(part); });
#if defined(MPSCNN_WITH_avx512_vnni)
    if (has_avx512_vnni()) avx512_vnni::get(table.quads);
#endif
#if defined(MPSCNN_WITH_avx512_fp16)
    if (has_avx512_fp16()) avx512_fp16::get(table.halves);
#endif
    return table;
}
#endif

Available::Available() {
#if defined(MPSCNN_WITH_amx_bf16)
    if (wanted_sums() != "pairs" && has_amx_bf16()) {
        KernelTable &table = add(avx512_table());
        table.name = "amx";
        add_bfloat16(table, Bfloat16Products::blocks_in_tiles, amx_bf16::get);
#if defined(MPSCNN_WITH_amx_int8)
        if (has_amx_int8()) amx_int8::get(table.quads.tiles);
#endif
    }
#endif
#if defined(MPSCNN_WITH_avx512)
    if (has_avx512()) {
        KernelTable &table = add(avx512_table());
#if defined(MPSCNN_WITH_avx512_bf16)
        if (has_avx512_bf16() &&
            (wanted_sums().empty() ? has_fast_bfloat16_pairs() : wanted_sums() == "pairs"))
            add_bfloat16(table, Bfloat16Products::pairs, avx512_bf16::get);
        else
#endif
            add_bfloat16(table, Bfloat16Products::blocks, avx512_fma_bf16::get);
    }
#endif
#if defined(MPSCNN_WITH_avx2)
    if (has_avx2()) {
        KernelTable &table = add(assemble([](auto &part) { avx2::get(part); }));
        add_bfloat16(table, Bfloat16Products::blocks, avx2_bf16::get);
#if defined(MPSCNN_WITH_avx2_quads)
        avx2_quads::get(table.quads);
#endif
#if defined(MPSCNN_WITH_avx2_vnni)
        if (has_avx_vnni()) avx2_vnni::get(table.quads = {});
#endif
    }
#endif
#if defined(MPSCNN_WITH_baseline)
    add(assemble([](auto &part) { baseline::get(part); })).why_no_bfloat16 =
        "the instruction set baseline has no FMAs";
#endif
}
#else
Available::Available() {
    KernelTable &table = add(assemble([](auto &part) { neon::get(part); }));
    table.why_no_bfloat16 = "this processor has no bfloat16 instructions (FEAT_BF16)";
    if (has_arm_fp16()) neon_fp16::get(table.halves);
    if (has_arm_bfloat16()) add_bfloat16(table, Bfloat16Products::arm_pairs, neon_bf16::get);
    if (has_arm_int8_matrices())
        neon_i8mm::get(table.quads);
    else if (has_arm_dot_products())
        neon_dot::get(table.quads);
}
#endif

std::string list_of(std::span<const KernelTable *const> tables) {
    std::string names;
    for (const KernelTable *table : tables) names += (names.empty() ? "" : ", ") + std::string(table->name);
    return names;
}

} // namespace

#if defined(MPSCNN_WITH_avx2)
#define MPSCNN_NEEDED "AVX2"
#else
#define MPSCNN_NEEDED "AVX-512"
#endif

const char *missing_kernels() {
    if (!available_kernels().empty()) return "";
    return "mpscnn was built for processors with " MPSCNN_NEEDED
           ", which this one lacks. Build it on this machine, or with MPSCNN_INSTRUCTION_SETS=all";
}

const char *name_of(Bfloat16Products products) {
    constexpr const char *names[] = {"none", "pairs", "arm pairs", "blocks", "blocks in tiles"};
    return names[static_cast<std::size_t>(products)];
}

std::span<const KernelTable *const> available_kernels() {
    static const Available available;
    return available.all();
}

const KernelTable &kernels(const char *name) {
    const auto available = available_kernels();
    const std::string_view wanted = name;
    for (const KernelTable *table : available)
        if (wanted == table->name) return *table;
#if defined(__aarch64__)
    // The baseline of arm64 is NEON, which every arm64 processor has.
    if (wanted == "baseline") return *available.back();
#endif
    if (available.empty()) fail(ErrorKind::device, missing_kernels());
    for (std::string_view known : known_names)
        if (wanted == known)
            fail(ErrorKind::unsupported, {"this processor lacks the instruction set '", wanted,
                                          "', or this build its kernels; there are ", list_of(available)});
    fail(ErrorKind::parameter,
         {"unknown instruction set '", wanted,
          "': expected baseline, avx2, avx512, amx or neon (this processor has ", list_of(available), ")"});
}

const KernelTable &kernels() {
#if defined(__x86_64__)
    if (const auto sums = wanted_sums(); !sums.empty() && sums != "pairs" && sums != "blocks")
        fail(ErrorKind::parameter, {"MPSCNN_BFLOAT16: expected pairs or blocks, got '", sums, "'"});
#endif
    const char *chosen = std::getenv("MPSCNN_CPU");
    if (chosen && *chosen) return kernels(chosen);
    if (available_kernels().empty()) fail(ErrorKind::device, missing_kernels());
    return *available_kernels().front();
}

} // namespace mpscnn::cpu
