#pragma once

// The class Simd (see simd.h) for AVX2 with dot products of four bytes (AVX-VNNI).

#include "cpu/isa/simd_avx2.h"

namespace mpscnn::cpu::avx2_vnni {

using avx2::Simd;

} // namespace mpscnn::cpu::avx2_vnni
