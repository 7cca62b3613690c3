#pragma once

// Weighted sums of rows with the vectors of x86-64. Target attributes select the instruction set of each
// function, instead of compiler flags for the whole file. Products and sums are rounded one after the other,
// without FMA, so every sum has the bits of the plain loop in row_kernels.cpp.

#if defined(__x86_64__)

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/x86_intrinsics.h"

namespace mpscnn::vision {

#define MPSCNN_AVX2 __attribute__((target("avx2")))
#define MPSCNN_AVX512 __attribute__((target("avx512f,avx2")))

/// Load eight samples as floats.
template <class Sample> MPSCNN_AVX2 inline __m256 load_eight(const std::byte *samples) {
    if constexpr (std::is_same_v<Sample, float>)
        return _mm256_loadu_ps(reinterpret_cast<const float *>(samples));
    else if constexpr (std::is_same_v<Sample, std::uint16_t>)
        return _mm256_cvtepi32_ps(
            _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(samples))));
    else
        return _mm256_cvtepi32_ps(
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(samples))));
}

/// Load sixteen samples as floats.
template <class Sample> MPSCNN_AVX512 inline __m512 load_sixteen(const std::byte *samples) {
    if constexpr (std::is_same_v<Sample, float>)
        return _mm512_loadu_ps(reinterpret_cast<const float *>(samples));
    else if constexpr (std::is_same_v<Sample, std::uint16_t>)
        return _mm512_cvtepi32_ps(
            _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(samples))));
    else
        return _mm512_cvtepi32_ps(
            _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(samples))));
}

/// Adds weighted rows to the sums of columns [done, length), for as many of them as groups of `vectors`
/// vectors hold. Return the end of these columns. The sums of a group stay in registers.
template <class Sample, std::size_t vectors>
MPSCNN_AVX2 inline std::size_t add_eight(const std::byte *const *rows, const float *weights,
                                         std::size_t count, bool start, std::size_t done, std::size_t length,
                                         float *sums) {
    for (; done + 8 * vectors <= length; done += 8 * vectors) {
        __m256 sum[vectors];
        for (std::size_t v = 0; v < vectors; ++v)
            sum[v] = start ? _mm256_setzero_ps() : _mm256_loadu_ps(sums + done + 8 * v);
        for (std::size_t row = 0; row < count; ++row) {
            const std::byte *const samples = rows[row] + done * sizeof(Sample);
            const __m256 weight = _mm256_set1_ps(weights[row]);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < vectors; ++v) {
                const __m256 values = load_eight<Sample>(samples + 8 * v * sizeof(Sample));
                sum[v] = _mm256_add_ps(sum[v], _mm256_mul_ps(weight, values));
            }
        }
        for (std::size_t v = 0; v < vectors; ++v) _mm256_storeu_ps(sums + done + 8 * v, sum[v]);
    }
    return done;
}

/// The same with vectors of sixteen floats.
template <class Sample, std::size_t vectors>
MPSCNN_AVX512 inline std::size_t add_sixteen(const std::byte *const *rows, const float *weights,
                                             std::size_t count, bool start, std::size_t done,
                                             std::size_t length, float *sums) {
    for (; done + 16 * vectors <= length; done += 16 * vectors) {
        __m512 sum[vectors];
        for (std::size_t v = 0; v < vectors; ++v)
            sum[v] = start ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + done + 16 * v);
        for (std::size_t row = 0; row < count; ++row) {
            const std::byte *const samples = rows[row] + done * sizeof(Sample);
            const __m512 weight = _mm512_set1_ps(weights[row]);
#pragma GCC unroll 4
            for (std::size_t v = 0; v < vectors; ++v) {
                const __m512 values = load_sixteen<Sample>(samples + 16 * v * sizeof(Sample));
                sum[v] = _mm512_add_ps(sum[v], _mm512_mul_ps(weight, values));
            }
        }
        for (std::size_t v = 0; v < vectors; ++v) _mm512_storeu_ps(sums + done + 16 * v, sum[v]);
    }
    return done;
}

/// Compute sums[i] = (start ? 0 : sums[i]) + sum over the rows of weight times sample i, in order, for as
/// many columns as whole vectors hold. Return their number.
template <class Sample>
MPSCNN_AVX2 std::size_t add_rows_avx2(const std::byte *const *rows, const float *weights, std::size_t count,
                                      bool start, std::size_t length, float *sums) {
    const std::size_t done = add_eight<Sample, 4>(rows, weights, count, start, 0, length, sums);
    return add_eight<Sample, 1>(rows, weights, count, start, done, length, sums);
}

template <class Sample>
MPSCNN_AVX512 std::size_t add_rows_avx512(const std::byte *const *rows, const float *weights,
                                          std::size_t count, bool start, std::size_t length, float *sums) {
    const std::size_t done = add_sixteen<Sample, 4>(rows, weights, count, start, 0, length, sums);
    return add_sixteen<Sample, 1>(rows, weights, count, start, done, length, sums);
}

} // namespace mpscnn::vision

#endif
