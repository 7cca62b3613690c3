#pragma once

// AVX-512 with a software model of AMX's tiles of bfloat16 numbers. Contract: cpu/isa/simd.h.

#include "amx_model_tiles.h"
#include "cpu/isa/simd_avx512_fma_bf16.h"

namespace mpscnn::cpu::amx_model_bf16 {

struct Simd : avx512_fma_bf16::Simd {
    static constexpr int gemm_rows = 16, gemm_single_rows = 16;
    using Tiles = ModelTiles;
};

} // namespace mpscnn::cpu::amx_model_bf16
