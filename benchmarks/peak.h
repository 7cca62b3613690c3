#pragma once

// The multiply-add peak that kernels are compared with.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string_view>

#include "cpu/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#else
#include <arm_neon.h>
#endif

namespace benchmark {

// Twelve independent chains are more than latency x units of any processor these kernels are for. The empty
// assembly keeps the compiler from replacing them by something cheaper.
#define MPSCNN_PEAK_LOOP(name, attributes, type, zero, constraint, step)                                     \
    attributes inline void name(std::int64_t rounds) {                                                       \
        type sums[12];                                                                                       \
        for (auto &sum : sums) sum = zero;                                                                   \
        type x = zero;                                                                                       \
        for (std::int64_t i = 0; i < rounds; ++i) _Pragma("GCC unroll 12") for (auto &sum : sums) {          \
                sum = step;                                                                                  \
                __asm__ volatile("" : "+" constraint(sum));                                                  \
            }                                                                                                \
        __asm__ volatile("" : "+" constraint(x));                                                            \
    }
#if defined(__x86_64__)
MPSCNN_PEAK_LOOP(peak_baseline, , __m128, _mm_setzero_ps(), "x", _mm_add_ps(_mm_mul_ps(x, x), sum))
MPSCNN_PEAK_LOOP(peak_avx2, __attribute__((target("avx2,fma"))), __m256, _mm256_setzero_ps(), "x",
                 _mm256_fmadd_ps(x, x, sum))
MPSCNN_PEAK_LOOP(peak_avx512, __attribute__((target("avx512f"))), __m512, _mm512_setzero_ps(), "v",
                 _mm512_fmadd_ps(x, x, sum))
#else
MPSCNN_PEAK_LOOP(peak_neon, , float32x4_t, vdupq_n_f32(0.0f), "w", vfmaq_f32(sum, x, x))
#endif
#undef MPSCNN_PEAK_LOOP

/// Floating-point operations per second of one thread that only multiplies and adds.
inline double multiply_add_peak(const mpscnn::cpu::KernelTable &table) {
    void (*loop)(std::int64_t) = nullptr;
#if defined(__x86_64__)
    const std::string_view name = table.name;
    loop = name == "avx512" ? peak_avx512 : name == "avx2" ? peak_avx2 : peak_baseline;
#else
    loop = peak_neon;
#endif
    using Clock = std::chrono::steady_clock;
    constexpr std::int64_t rounds = 20000;
    double best = 1e9;
    for (int i = 0; i < 500; ++i) {
        const auto start = Clock::now();
        loop(rounds);
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return 2.0 * 12 * rounds * static_cast<double>(table.vector_width) / best;
}

} // namespace benchmark
