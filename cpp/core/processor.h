#pragma once

namespace mpscnn {

#if defined(__x86_64__)
/// Whether this processor has AVX2, FMA and half conversion (F16C), and the system keeps their registers.
bool has_avx2();
/// AVX-512 F, DQ, BW and VL besides.
bool has_avx512();
/// AVX512_BF16 besides.
bool has_avx512_bf16();
/// Whether that multiplies more numbers than FMAs do: AMD's processors, not Intel's.
bool has_fast_bfloat16_pairs();
/// AMX with bfloat16 and AVX512_BF16 besides, and the system lets this process use its registers, which the
/// first call asks for.
bool has_amx_bf16();
/// AVX512_VNNI besides.
bool has_avx512_vnni();
#elif defined(__aarch64__)
/// Whether this processor has bfloat16 instructions (FEAT_BF16).
bool has_arm_bfloat16();
#endif

} // namespace mpscnn
