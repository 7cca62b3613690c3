#pragma once

// Vectors of double for cpu/kernels/elementwise/signal.cpp, with the names of simd.h. The compiler's flags
// select the instruction set. The rules of simd.h for kernel headers hold.

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

struct DoubleSimd {
#if defined(__AVX512F__)
    static constexpr int width = 8;
    static constexpr bool has_fma = true;
    using reg = __m512d;
    static MPSCNN_INLINE reg zero() { return _mm512_setzero_pd(); }
    static MPSCNN_INLINE reg set1(double x) { return _mm512_set1_pd(x); }
    static MPSCNN_INLINE reg load(const double *p) { return _mm512_loadu_pd(p); }
    static MPSCNN_INLINE void store(double *p, reg a) { _mm512_storeu_pd(p, a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm512_fmadd_pd(a, b, c); }
#elif defined(__AVX2__)
    static constexpr int width = 4;
    static constexpr bool has_fma = true;
    using reg = __m256d;
    static MPSCNN_INLINE reg zero() { return _mm256_setzero_pd(); }
    static MPSCNN_INLINE reg set1(double x) { return _mm256_set1_pd(x); }
    static MPSCNN_INLINE reg load(const double *p) { return _mm256_loadu_pd(p); }
    static MPSCNN_INLINE void store(double *p, reg a) { _mm256_storeu_pd(p, a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm256_fmadd_pd(a, b, c); }
#elif defined(__x86_64__)
    static constexpr int width = 2;
    static constexpr bool has_fma = false;
    using reg = __m128d;
    static MPSCNN_INLINE reg zero() { return _mm_setzero_pd(); }
    static MPSCNN_INLINE reg set1(double x) { return _mm_set1_pd(x); }
    static MPSCNN_INLINE reg load(const double *p) { return _mm_loadu_pd(p); }
    static MPSCNN_INLINE void store(double *p, reg a) { _mm_storeu_pd(p, a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm_add_pd(_mm_mul_pd(a, b), c); }
#else
    static constexpr int width = 2;
    static constexpr bool has_fma = true;
    using reg = float64x2_t;
    static MPSCNN_INLINE reg zero() { return vdupq_n_f64(0.0); }
    static MPSCNN_INLINE reg set1(double x) { return vdupq_n_f64(x); }
    static MPSCNN_INLINE reg load(const double *p) { return vld1q_f64(p); }
    static MPSCNN_INLINE void store(double *p, reg a) { vst1q_f64(p, a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return vfmaq_f64(c, a, b); }
#endif
};

} // namespace
} // namespace mpscnn::cpu
