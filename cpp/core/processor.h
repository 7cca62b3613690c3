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
/// AMX with bytes and AVX512_VNNI, in the same way.
bool has_amx_int8();
/// AVX512_VNNI besides.
bool has_avx512_vnni();
/// AVX512_FP16 besides: arithmetic of halves.
bool has_avx512_fp16();
/// AVX2 and AVX-VNNI, the same with vectors of 256 bits.
bool has_avx_vnni();
#elif defined(__aarch64__)
/// Whether this processor has bfloat16 instructions (FEAT_BF16).
bool has_arm_bfloat16();
/// Whether it has arithmetic of halves (FEAT_FP16).
bool has_arm_fp16();
/// Whether it has dot products of four bytes (FEAT_DotProd).
bool has_arm_dot_products();
/// Whether it has those of unsigned by signed bytes (FEAT_I8MM).
bool has_arm_int8_matrices();
#endif

} // namespace mpscnn
