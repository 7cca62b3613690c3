#pragma once

// NEON with products of four signed bytes. Contract: simd.h.

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_dot {

using neon::Simd;

} // namespace mpscnn::cpu::neon_dot
