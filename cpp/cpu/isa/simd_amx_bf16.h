#pragma once

// The class Simd (see simd.h) for AVX-512 with AMX's products of tiles of bfloat16 numbers.

#include "cpu/isa/amx_tiles.h"
#include "cpu/isa/simd_avx512_bf16.h"

namespace mpscnn::cpu::amx_bf16 {

struct Simd : avx512_bf16::Simd {
    static constexpr int gemm_rows = 16, gemm_single_rows = 16;
    using Tiles = HardwareTiles;
};

} // namespace mpscnn::cpu::amx_bf16
