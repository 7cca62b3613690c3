#pragma once

// NEON with products of four unsigned by four signed bytes. Contract: simd.h.

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_i8mm {

using neon::Simd;

} // namespace mpscnn::cpu::neon_i8mm
