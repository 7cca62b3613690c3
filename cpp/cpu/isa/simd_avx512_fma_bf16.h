#pragma once

// The class Simd (see simd.h) for AVX-512 with bfloat16 tensors. Their numbers are widened to floats for
// FMAs.

#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::avx512_fma_bf16 {

struct Simd : avx512::Simd {
    static constexpr int gemm_rows = 4, gemm_single_rows = 8; // each row and vector has three sums
    using element = Bfloat16;

    static MPSCNN_INLINE reg even(reg a) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 16));
    }
    static MPSCNN_INLINE reg odd(reg a) { return _mm512_and_ps(a, constant(0xffff0000)); }

    static MPSCNN_INLINE reg round_to_bfloat16(reg a) {
        const __m512i number = _mm512_castps_si512(a);
        const __m512i last = _mm512_and_si512(_mm512_srli_epi32(number, 16), _mm512_set1_epi32(1));
        __m512i result = _mm512_add_epi32(number, _mm512_add_epi32(last, _mm512_set1_epi32(0x7fff)));
        const __m512i sign = _mm512_set1_epi32(static_cast<int>(0x80000000));
        const __mmask16 tiny =
            _mm512_cmplt_epi32_mask(_mm512_andnot_si512(sign, number), _mm512_set1_epi32(0x00800000));
        result = _mm512_mask_and_epi32(result, tiny, number, sign);
        const __mmask16 no_number = _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q);
        result = _mm512_mask_or_epi32(result, no_number, number, _mm512_set1_epi32(0x00400000));
        return odd(_mm512_castsi512_ps(result));
    }
    static MPSCNN_INLINE reg pair(reg a, reg b) {
        const __m512i first = _mm512_srli_epi32(_mm512_castps_si512(round_to_bfloat16(a)), 16);
        return _mm512_castsi512_ps(_mm512_or_si512(first, _mm512_castps_si512(round_to_bfloat16(b))));
    }

    using avx512::Simd::load;
    using avx512::Simd::load_partial;
    using avx512::Simd::store;
    using avx512::Simd::store_partial;
    static MPSCNN_INLINE reg load(const Bfloat16 *p) {
        return expanded(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
    }
    static MPSCNN_INLINE reg load_partial(const Bfloat16 *p, std::int64_t n) {
        return expanded(_mm256_maskz_loadu_epi16(first_lanes(n), p));
    }
    static MPSCNN_INLINE void store(Bfloat16 *p, reg a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), rounded(a));
    }
    static MPSCNN_INLINE void store_partial(Bfloat16 *p, reg a, std::int64_t n) {
        _mm256_mask_storeu_epi16(p, first_lanes(n), rounded(a));
    }
    static MPSCNN_INLINE void store_two(Bfloat16 *p, reg a, reg b) {
        store(p, a);
        store(p + width, b);
    }

private:
    static MPSCNN_INLINE reg constant(std::uint32_t bits) {
        return _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(bits)));
    }
    static MPSCNN_INLINE reg expanded(__m256i a) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
    }
    static MPSCNN_INLINE __m256i rounded(reg a) {
        return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(round_to_bfloat16(a)), 16));
    }
    static MPSCNN_INLINE mask first_lanes(std::int64_t n) { return static_cast<mask>((1u << n) - 1u); }
};

} // namespace mpscnn::cpu::avx512_fma_bf16
