#pragma once

// The class Simd (see simd.h) for AVX-512 with AMX's products of tiles of bytes.

#include "cpu/isa/amx_tiles.h"
#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::amx_int8 {

struct Simd : avx512::Simd {
    using Tiles = HardwareTiles;
};

} // namespace mpscnn::cpu::amx_int8
