#pragma once

// The class Simd (see simd.h) for AVX-512 with dot products of four bytes (AVX512_VNNI).

#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::avx512_vnni {

using avx512::Simd;

} // namespace mpscnn::cpu::avx512_vnni
