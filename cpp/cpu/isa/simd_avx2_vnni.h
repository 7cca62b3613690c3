#pragma once

// AVX2 with products of four bytes (AVX-VNNI). Contract: simd.h.

#include "cpu/isa/simd_avx2.h"

namespace mpscnn::cpu::avx2_vnni {

using avx2::Simd;

} // namespace mpscnn::cpu::avx2_vnni
