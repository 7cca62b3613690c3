#pragma once

namespace mpscnn {

#if defined(__x86_64__)
/// True if this processor has AVX2, FMA and half conversion (F16C), and the system saves their registers.
bool has_avx2();
/// True if this processor has AVX2 as above, and AVX-512 F, DQ, BW and VL.
bool has_avx512();
/// True if this processor has AVX-512 as above, and AVX512_BF16.
bool has_avx512_bf16();
/// True if AVX512_BF16 multiplies more numbers per cycle than FMAs do: on AMD's processors, not on Intel's.
bool has_fast_bfloat16_pairs();
/// True if this processor has AVX512_BF16 and AMX for bfloat16, and the system lets this process use the tile
/// registers. The first call requests them.
bool has_amx_bf16();
/// True if this processor has AVX512_VNNI and AMX for bytes, and the system lets this process use the tile
/// registers.
bool has_amx_int8();
/// True if this processor has AVX-512 as above, and AVX512_VNNI (dot products of bytes).
bool has_avx512_vnni();
/// True if this processor has AVX-512 as above, and AVX512_FP16 (arithmetic of halves).
bool has_avx512_fp16();
/// True if this processor has AVX2 as above, and AVX-VNNI (dot products of bytes in 256-bit vectors).
bool has_avx_vnni();
#elif defined(__aarch64__)
/// True if this processor has bfloat16 instructions (FEAT_BF16).
bool has_arm_bfloat16();
/// True if this processor has arithmetic of halves (FEAT_FP16).
bool has_arm_fp16();
/// True if this processor has dot products of four bytes (FEAT_DotProd).
bool has_arm_dot_products();
/// True if this processor has dot products of unsigned by signed bytes (FEAT_I8MM).
bool has_arm_int8_matrices();
#endif

} // namespace mpscnn
