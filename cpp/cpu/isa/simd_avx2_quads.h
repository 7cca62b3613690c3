#pragma once

// The class Simd (see simd.h) for AVX2, and a request for products of four bytes by AVX2's own instructions.

#include "cpu/isa/simd_avx2.h"

#define MPSCNN_MULTIPLIES_QUADS_BY_PAIRS

namespace mpscnn::cpu::avx2_quads {

using avx2::Simd;

} // namespace mpscnn::cpu::avx2_quads
