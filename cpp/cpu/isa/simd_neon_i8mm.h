#pragma once

// The class Simd (see simd.h) for NEON with dot products of four unsigned by four signed bytes (FEAT_I8MM).

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_i8mm {

using neon::Simd;

} // namespace mpscnn::cpu::neon_i8mm
