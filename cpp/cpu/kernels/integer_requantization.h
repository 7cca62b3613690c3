#pragma once

// Sums of a panel of outputs become bytes: 16 of them, to the bits of tasks/fixed_point.h. Products of even
// and odd lanes are 64 bits wide; of the latter what is wanted moves into its lane by the shift.

#include "cpu/kernels/integer_bytes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace mpscnn::cpu {
namespace {

/// Of the outputs from `first` on; sums, multipliers and shifts are those of a whole panel.
MPSCNN_INLINE void requantize_each(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                                   std::int64_t count, std::uint8_t *result) {
    const std::int32_t *m = to.multipliers + first, *shift = to.shifts + first;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int32_t rounded =
            to.once ? rounded_once(sums[i], m[i], shift[i]) : rounded_twice(sums[i], m[i], shift[i]);
        result[i] = static_cast<std::uint8_t>(
            limited(static_cast<std::int64_t>(rounded) + to.zero_point, to.low, to.high));
    }
}

#if defined(__AVX512BW__)
/// rounded_twice, 16 at a time.
MPSCNN_INLINE __m512i rounded_twice(__m512i x, __m512i m, __m512i shift) {
    const __m512i zero = _mm512_setzero_si512(), half = _mm512_set1_epi64(std::int64_t{1} << 30);
    const __m512i larger = _mm512_sllv_epi32(x, _mm512_max_epi32(shift, zero)),
                  right = _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(larger, m), half),
                  odd = _mm512_add_epi64(
                      _mm512_mul_epi32(_mm512_srli_epi64(larger, 32), _mm512_srli_epi64(m, 32)), half);
    const __m512i product =
        _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 31), _mm512_slli_epi64(odd, 1));
    const __m512i mask =
                      _mm512_sub_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), right), _mm512_set1_epi32(1)),
                  rest = _mm512_and_si512(product, mask),
                  threshold = _mm512_add_epi32(_mm512_srli_epi32(mask, 1), _mm512_srli_epi32(product, 31)),
                  whole = _mm512_srav_epi32(product, right);
    return _mm512_mask_add_epi32(whole, _mm512_cmpgt_epi32_mask(rest, threshold), whole,
                                 _mm512_set1_epi32(1));
}

MPSCNN_INLINE void requantize(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                              std::int64_t count, std::uint8_t *result) {
    if (to.once) return requantize_each(to, sums, first, count, result);
    const __m512i rounded =
        rounded_twice(_mm512_loadu_si512(sums), _mm512_loadu_si512(to.multipliers + first),
                      _mm512_loadu_si512(to.shifts + first));
    const __m512i moved = _mm512_add_epi32(rounded, _mm512_set1_epi32(to.zero_point));
    const __m512i bytes =
        _mm512_min_epi32(_mm512_max_epi32(moved, _mm512_set1_epi32(to.low)), _mm512_set1_epi32(to.high));
    const auto kept = static_cast<__mmask16>(count >= 16 ? 0xffff : (1 << count) - 1);
    _mm512_mask_cvtepi32_storeu_epi8(result, kept, bytes);
}
#elif defined(__AVX2__)
/// rounded_twice, 8 at a time.
MPSCNN_INLINE __m256i rounded_twice(__m256i x, __m256i m, __m256i shift) {
    const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi64x(std::int64_t{1} << 30);
    const __m256i larger = _mm256_sllv_epi32(x, _mm256_max_epi32(shift, zero)),
                  right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(larger, m), half),
                  odd = _mm256_add_epi64(
                      _mm256_mul_epi32(_mm256_srli_epi64(larger, 32), _mm256_srli_epi64(m, 32)), half);
    const __m256i product = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xaa);
    const __m256i one = _mm256_set1_epi32(1), mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one),
                  rest = _mm256_and_si256(product, mask),
                  threshold = _mm256_add_epi32(_mm256_srli_epi32(mask, 1), _mm256_srli_epi32(product, 31));
    return _mm256_sub_epi32(_mm256_srav_epi32(product, right), _mm256_cmpgt_epi32(rest, threshold));
}

MPSCNN_INLINE void requantize(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                              std::int64_t count, std::uint8_t *result) {
    if (to.once) return requantize_each(to, sums, first, count, result);
    const auto load = [](const std::int32_t *from) __attribute__((always_inline)) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    };
    const __m256i low = _mm256_set1_epi32(to.low), high = _mm256_set1_epi32(to.high),
                  zero_point = _mm256_set1_epi32(to.zero_point);
    const auto part = [&](std::int64_t at) __attribute__((always_inline)) {
        const __m256i rounded =
            rounded_twice(load(sums + at), load(to.multipliers + first + at), load(to.shifts + first + at));
        return _mm256_min_epi32(_mm256_max_epi32(_mm256_add_epi32(rounded, zero_point), low), high);
    };
    // Four lanes of the first part, four of the second, and so on.
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(part(0), part(8)), 0xd8);
    const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    if (count >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i *>(result), bytes);
    alignas(16) std::uint8_t all[16];
    _mm_store_si128(reinterpret_cast<__m128i *>(all), bytes);
    for (std::int64_t i = 0; i < count; ++i) result[i] = all[i];
}
#else
MPSCNN_INLINE void requantize(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                              std::int64_t count, std::uint8_t *result) {
    requantize_each(to, sums, first, count, result);
}
#endif

} // namespace
} // namespace mpscnn::cpu
