#pragma once

// The class Simd (see simd.h) for x86-64 with AVX2, FMA and F16C.

#include <immintrin.h>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu::avx2 {

struct Simd {
    static constexpr int width = 8;
    static constexpr bool has_non_temporal_stores = true;
    static constexpr bool has_fma = true;
    static constexpr bool has_scale = false;
    static constexpr int registers = 16;
    static constexpr int gemm_rows = 6, gemm_vectors = 2, gemm_last_vectors = 3;
    static constexpr int gemm_single_rows = 12;
    static constexpr int gemm_rows_of_pointer = 3;
    using element = float;
    using reg = __m256;
    using mask = __m256;

    static MPSCNN_INLINE reg zero() { return _mm256_setzero_ps(); }
    static MPSCNN_INLINE reg set1(float x) { return _mm256_set1_ps(x); }
    static MPSCNN_INLINE reg broadcast(const float *p) { return _mm256_broadcast_ss(p); }
    static MPSCNN_INLINE reg load_broadcast(const float *p) { return broadcast(p); }
    static MPSCNN_INLINE reg fma_broadcast(reg a, reg b, reg c) { return fma(a, b, c); }
    static MPSCNN_INLINE reg load(const float *p) { return _mm256_loadu_ps(p); }
    static MPSCNN_INLINE void store(float *p, reg a) { _mm256_storeu_ps(p, a); }
    static MPSCNN_INLINE void store_non_temporal(float *p, reg a) { _mm256_stream_ps(p, a); }
    static MPSCNN_INLINE void fence_non_temporal_stores() { _mm_sfence(); }

    static MPSCNN_INLINE reg load_partial(const float *p, std::int64_t n) {
        const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        return _mm256_maskload_ps(p, _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), lanes));
    }
    // Store in pieces, because the store of vmaskmovps takes tens of cycles on AMD processors.
    static MPSCNN_INLINE void store_partial(float *p, reg a, std::int64_t n) {
        if (n >= 8) return store(p, a);
        __m128 rest = _mm256_castps256_ps128(a);
        if (n & 4) {
            _mm_storeu_ps(p, rest);
            rest = _mm256_extractf128_ps(a, 1);
            p += 4;
        }
        if (n & 2) {
            _mm_storel_epi64(reinterpret_cast<__m128i *>(p), _mm_castps_si128(rest));
            rest = _mm_movehl_ps(rest, rest);
            p += 2;
        }
        if (n & 1) _mm_store_ss(p, rest);
    }

    static MPSCNN_INLINE reg add(reg a, reg b) { return _mm256_add_ps(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return _mm256_sub_ps(a, b); }
    static MPSCNN_INLINE reg mul(reg a, reg b) { return _mm256_mul_ps(a, b); }
    static MPSCNN_INLINE reg div(reg a, reg b) { return _mm256_div_ps(a, b); }
    static MPSCNN_INLINE reg sqrt(reg a) { return _mm256_sqrt_ps(a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm256_fmadd_ps(a, b, c); }
    static MPSCNN_INLINE reg max(reg limit, reg x) { return _mm256_max_ps(limit, x); }
    static MPSCNN_INLINE reg min(reg limit, reg x) { return _mm256_min_ps(limit, x); }
    static MPSCNN_INLINE mask equal(reg a, reg b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
    static MPSCNN_INLINE mask less(reg a, reg b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
    static MPSCNN_INLINE reg select(mask m, reg a, reg b) { return _mm256_blendv_ps(b, a, m); }

    static MPSCNN_INLINE reg round_to_half(reg a) {
        return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
    static MPSCNN_INLINE reg load_half(const std::uint16_t *p) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(p)));
    }
    static MPSCNN_INLINE void store_half(std::uint16_t *p, reg a) {
        _mm_storeu_si128(reinterpret_cast<__m128i *>(p), _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }

    static MPSCNN_INLINE reg power_of_two(reg n) {
        // The sum has n + 127 in its last bits. The shift moves them to the exponent.
        const __m256i biased = _mm256_castps_si256(_mm256_add_ps(n, set1(12582912.0f + 127.0f)));
        return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
    }

    static MPSCNN_INLINE reg exponent(reg a) {
        const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(a), 23);
        return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
    }
    static MPSCNN_INLINE reg significand(reg a) {
        const __m256 fraction = _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff)));
        return _mm256_or_ps(fraction, set1(1.0f));
    }

    using bits = __m256i;
    static MPSCNN_INLINE bits zero_bits() { return _mm256_setzero_si256(); }
    static MPSCNN_INLINE bits set1_bits(std::uint32_t x) { return _mm256_set1_epi32(static_cast<int>(x)); }
    static MPSCNN_INLINE bits load_bits(const std::uint32_t *p) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
    }
    static MPSCNN_INLINE bits xor_bits(bits a, bits b) { return _mm256_xor_si256(a, b); }
    static MPSCNN_INLINE bits and_bits(bits a, bits b) { return _mm256_and_si256(a, b); }
    static MPSCNN_INLINE bits add_bytes(bits a, bits b) { return _mm256_add_epi8(a, b); }
    static MPSCNN_INLINE bits count_bytes(bits a) {
        // Look up the number of bits of each nibble.
        const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1,
                                               2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
        const __m256i nibble = _mm256_set1_epi8(0x0f);
        const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(a, nibble));
        const __m256i high = _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(a, 4), nibble));
        return _mm256_add_epi8(low, high);
    }
    static MPSCNN_INLINE bits add_sums_of_bytes(bits sums, bits bytes) {
        const __m256i shorts = _mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1));
        return _mm256_add_epi32(sums, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
    }
    static MPSCNN_INLINE reg from_bits(bits a) { return _mm256_cvtepi32_ps(a); }

    static MPSCNN_INLINE float sum(reg a) {
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
    static MPSCNN_INLINE float maximum(reg a) {
        const __m128 four = greater(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
        const __m128 two = greater(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(greater(two, _mm_movehdup_ps(two)));
    }

private:
    /// Return the greater operand, or NaN if either is NaN.
    static MPSCNN_INLINE __m128 greater(__m128 a, __m128 b) {
        return _mm_blendv_ps(_mm_max_ps(a, b), a, _mm_cmpunord_ps(a, a));
    }
};

} // namespace mpscnn::cpu::avx2
