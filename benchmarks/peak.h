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

constexpr std::int64_t peak_rounds = 2000;

/// Floating-point operations of one call of run_peak_loop().
inline double peak_operations(const mpscnn::cpu::KernelTable &table) {
    return 2.0 * 12 * peak_rounds * static_cast<double>(table.vector_width);
}

/// Multiplies and adds, and nothing else, on one thread.
inline void run_peak_loop([[maybe_unused]] const mpscnn::cpu::KernelTable &table) {
#if defined(__x86_64__)
    const std::string_view name = table.name;
    (name == "avx512" ? peak_avx512 : name == "avx2" ? peak_avx2 : peak_baseline)(peak_rounds);
#else
    peak_neon(peak_rounds);
#endif
}

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

template <class Action> double seconds_of(const Action &action) {
    const auto start = Clock::now();
    action();
    return seconds_since(start);
}

/// Floating-point operations per second of one thread that only multiplies and adds.
inline double multiply_add_peak(const mpscnn::cpu::KernelTable &table) {
    double best = 1e9;
    for (int i = 0; i < 5000; ++i) best = std::min(best, seconds_of([&] { run_peak_loop(table); }));
    return peak_operations(table) / best;
}

} // namespace benchmark
