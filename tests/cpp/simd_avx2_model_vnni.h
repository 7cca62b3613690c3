#pragma once

// AVX2 with products of four bytes as AVX512_VNNI has them for vectors of 256 bits: the kernels of AVX-VNNI,
// whose instructions do the same, for processors without it. Contract: cpu/isa/simd.h.

#include "cpu/isa/simd_avx2.h"

namespace mpscnn::cpu::avx2_model_vnni {

using avx2::Simd;

} // namespace mpscnn::cpu::avx2_model_vnni
