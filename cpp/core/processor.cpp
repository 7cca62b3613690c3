#include "core/processor.h"

#include <cstddef>

#if defined(__x86_64__)

#include <cpuid.h>

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mpscnn {

namespace {

struct Registers {
    unsigned a = 0, b = 0, c = 0, d = 0;
};

Registers cpuid(unsigned leaf, unsigned part = 0) {
    Registers r;
    if (!__get_cpuid_count(leaf, part, &r.a, &r.b, &r.c, &r.d)) return {};
    return r;
}

/// Return the register sets that the operating system saves on a context switch (XCR0).
unsigned saved_states() {
    unsigned low = 0, high = 0;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

bool has(unsigned value, unsigned bits) { return (value & bits) == bits; }

/// Request the AMX tile registers, which Linux gives only to processes that ask for them. Return true if
/// granted.
bool may_use_tiles() {
#if defined(__linux__)
    constexpr long request_permission = 0x1023, tile_data = 18; // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
#else
    return false;
#endif
}

struct Features {
    bool avx2 = false, avx512 = false, avx512_bf16 = false, avx512_vnni = false, avx512_fp16 = false,
         avx_vnni = false, fast_pairs = false, amx_bf16 = false, amx_int8 = false;

    Features() {
        constexpr unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29;
        constexpr unsigned avx2_bit = 1u << 5, avx512_f_dq_bw_vl = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31;
        constexpr unsigned ymm_state = 0x6, zmm_state = 0xe6;
        const Registers basic = cpuid(1), extended = cpuid(7);
        const unsigned states = has(basic.c, osxsave) ? saved_states() : 0;
        avx2 = has(basic.c, fma | avx | f16c) && has(extended.b, avx2_bit) && has(states, ymm_state);
        avx512 = avx2 && has(extended.b, avx512_f_dq_bw_vl) && has(states, zmm_state);
        avx512_vnni = avx512 && has(extended.c, 1u << 11);
        avx512_fp16 = avx512 && has(extended.d, 1u << 23);
        // EAX of leaf 7 is the number of its last subleaf.
        const unsigned newer = extended.a >= 1 ? cpuid(7, 1).a : 0;
        avx_vnni = avx2 && has(newer, 1u << 4);
        avx512_bf16 = avx512 && has(newer, 1u << 5);
        constexpr unsigned amd[] = {0x68747541, 0x69746e65, 0x444d4163}; // "AuthenticAMD"
        const Registers vendor = cpuid(0);
        fast_pairs = avx512_bf16 && vendor.b == amd[0] && vendor.d == amd[1] && vendor.c == amd[2];
        constexpr unsigned amx_bf16_bit = 1u << 22, amx_tile_bit = 1u << 24, amx_int8_bit = 1u << 25,
                           tile_state = 0x60000;
        if (avx512 && has(extended.d, amx_tile_bit) && has(states, tile_state) && may_use_tiles()) {
            amx_bf16 = avx512_bf16 && has(extended.d, amx_bf16_bit);
            amx_int8 = avx512_vnni && has(extended.d, amx_int8_bit);
        }
    }
};

const Features &features() {
    static const Features found;
    return found;
}

} // namespace

bool has_avx2() { return features().avx2; }
bool has_avx512() { return features().avx512; }
bool has_avx512_bf16() { return features().avx512_bf16; }
bool has_fast_bfloat16_pairs() { return features().fast_pairs; }
bool has_amx_bf16() { return features().amx_bf16; }
bool has_amx_int8() { return features().amx_int8; }
bool has_avx512_vnni() { return features().avx512_vnni; }
bool has_avx512_fp16() { return features().avx512_fp16; }
bool has_avx_vnni() { return features().avx_vnni; }

} // namespace mpscnn

#elif defined(__aarch64__)

#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif

namespace mpscnn {

namespace {

/// True if the system reports the feature. macOS knows it by a name, and Linux by a bit of AT_HWCAP (word 1)
/// or AT_HWCAP2 (word 2).
bool has_feature([[maybe_unused]] const char *name, [[maybe_unused]] int word, [[maybe_unused]] int bit) {
#if defined(__APPLE__)
    int has = 0;
    std::size_t size = sizeof(has);
    return sysctlbyname(name, &has, &size, nullptr, 0) == 0 && has != 0;
#elif defined(__linux__)
    return (getauxval(word == 1 ? AT_HWCAP : AT_HWCAP2) >> bit & 1) != 0;
#else
    return false;
#endif
}

} // namespace

// Bits of HWCAP_ASIMDHP, HWCAP_ASIMDDP, HWCAP2_I8MM and HWCAP2_BF16 in Linux, which older headers lack.
bool has_arm_bfloat16() { return has_feature("hw.optional.arm.FEAT_BF16", 2, 14); }
bool has_arm_fp16() { return has_feature("hw.optional.arm.FEAT_FP16", 1, 10); }
bool has_arm_dot_products() { return has_feature("hw.optional.arm.FEAT_DotProd", 1, 20); }
bool has_arm_int8_matrices() { return has_feature("hw.optional.arm.FEAT_I8MM", 2, 13); }

} // namespace mpscnn

#endif
