#pragma once

namespace mpscnn {

#if defined(__x86_64__)
/// Whether this processor has AVX2, FMA and half conversion (F16C), and the system keeps their registers.
bool has_avx2();
/// AVX-512 F, DQ, BW and VL besides.
bool has_avx512();
#endif

} // namespace mpscnn
