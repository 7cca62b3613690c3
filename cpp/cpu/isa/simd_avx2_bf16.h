#pragma once

// The class Simd (see simd.h) for AVX2 with bfloat16 tensors. Their numbers are widened to floats for FMAs.

#include "cpu/isa/simd_avx2.h"

namespace mpscnn::cpu::avx2_bf16 {

struct Simd : avx2::Simd {
    static constexpr int gemm_rows = 2, gemm_single_rows = 4; // each row and vector has three sums
    using element = Bfloat16;

    static MPSCNN_INLINE reg even(reg a) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 16));
    }
    static MPSCNN_INLINE reg odd(reg a) { return _mm256_and_ps(a, constant(0xffff0000)); }

    static MPSCNN_INLINE reg round_to_bfloat16(reg a) {
        const __m256i number = _mm256_castps_si256(a);
        const __m256i last = _mm256_and_si256(_mm256_srli_epi32(number, 16), _mm256_set1_epi32(1));
        const __m256i up = _mm256_add_epi32(number, _mm256_add_epi32(last, _mm256_set1_epi32(0x7fff)));
        const reg sign = constant(0x80000000), magnitude = _mm256_andnot_ps(sign, a);
        const __m256i tiny =
            _mm256_cmpgt_epi32(_mm256_set1_epi32(0x00800000), _mm256_castps_si256(magnitude));
        reg result = _mm256_castsi256_ps(up);
        result = _mm256_blendv_ps(result, _mm256_and_ps(a, sign), _mm256_castsi256_ps(tiny));
        const reg quiet = _mm256_or_ps(a, constant(0x00400000));
        result = _mm256_blendv_ps(result, quiet, _mm256_cmp_ps(a, a, _CMP_UNORD_Q));
        return odd(result);
    }
    static MPSCNN_INLINE reg pair(reg a, reg b) {
        const __m256i first = _mm256_srli_epi32(_mm256_castps_si256(round_to_bfloat16(a)), 16);
        return _mm256_or_ps(_mm256_castsi256_ps(first), round_to_bfloat16(b));
    }

    using avx2::Simd::load;
    using avx2::Simd::load_partial;
    using avx2::Simd::store;
    using avx2::Simd::store_partial;
    static MPSCNN_INLINE reg load(const Bfloat16 *p) {
        return expanded(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    }
    static MPSCNN_INLINE reg load_partial(const Bfloat16 *p, std::int64_t n) {
        alignas(16) std::uint16_t values[width] = {};
        for (std::int64_t i = 0; i < n; ++i) values[i] = p[i].bits;
        return expanded(_mm_load_si128(reinterpret_cast<const __m128i *>(values)));
    }
    static MPSCNN_INLINE void store(Bfloat16 *p, reg a) {
        _mm_storeu_si128(reinterpret_cast<__m128i *>(p), rounded(a));
    }
    static MPSCNN_INLINE void store_partial(Bfloat16 *p, reg a, std::int64_t n) {
        if (n >= width) return store(p, a);
        alignas(16) std::uint16_t values[width];
        _mm_store_si128(reinterpret_cast<__m128i *>(values), rounded(a));
        for (std::int64_t i = 0; i < n; ++i) p[i].bits = values[i];
    }
    static MPSCNN_INLINE void store_two(Bfloat16 *p, reg a, reg b) {
        store(p, a);
        store(p + width, b);
    }

private:
    static MPSCNN_INLINE reg constant(std::uint32_t bits) {
        return _mm256_castsi256_ps(_mm256_set1_epi32(static_cast<int>(bits)));
    }
    static MPSCNN_INLINE reg expanded(__m128i a) {
        return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(a), 16));
    }
    static MPSCNN_INLINE __m128i rounded(reg a) {
        const __m256i upper = _mm256_srli_epi32(_mm256_castps_si256(round_to_bfloat16(a)), 16);
        return _mm_packus_epi32(_mm256_castsi256_si128(upper), _mm256_extracti128_si256(upper, 1));
    }
};

} // namespace mpscnn::cpu::avx2_bf16
