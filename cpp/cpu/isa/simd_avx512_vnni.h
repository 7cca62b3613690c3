#pragma once

// AVX-512 with products of four bytes. Contract: simd.h.

#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::avx512_vnni {

using avx512::Simd;

} // namespace mpscnn::cpu::avx512_vnni
