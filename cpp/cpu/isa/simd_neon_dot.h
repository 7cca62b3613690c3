#pragma once

// The class Simd (see simd.h) for NEON with dot products of four signed bytes (FEAT_DotProd).

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_dot {

using neon::Simd;

} // namespace mpscnn::cpu::neon_dot
