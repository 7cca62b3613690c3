#pragma once

// AVX2 with AVX512_VNNI's products of four bytes for 256-bit vectors. These instructions compute the same as
// AVX-VNNI's, so they test its kernels on processors without it. Contract: cpu/isa/simd.h.

#include "cpu/isa/simd_avx2.h"

namespace mpscnn::cpu::avx2_model_vnni {

using avx2::Simd;

} // namespace mpscnn::cpu::avx2_model_vnni
