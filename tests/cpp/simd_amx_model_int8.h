#pragma once

// AVX-512 with a software model of AMX's tiles of bytes. Contract: cpu/isa/simd.h.

#include "amx_model_tiles.h"
#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::amx_model_int8 {

struct Simd : avx512::Simd {
    using Tiles = ModelTiles;
};

} // namespace mpscnn::cpu::amx_model_int8
