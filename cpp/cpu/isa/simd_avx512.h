#pragma once

// The class Simd (see simd.h) for x86-64 with AVX-512 F, BW, VL and DQ.

#include "core/x86_intrinsics.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu::avx512 {

struct Simd {
    static constexpr int width = 16;
    static constexpr bool has_non_temporal_stores = true;
    static constexpr bool has_fma = true;
    static constexpr bool has_scale = true;
    static constexpr int registers = 32;
    static constexpr int gemm_rows = 14, gemm_vectors = 2, gemm_last_vectors = 2;
    static constexpr int gemm_single_rows = 14;
    static constexpr int gemm_rows_of_pointer = 3;
    using element = float;
    using reg = __m512;
    using mask = __mmask16;

    static MPSCNN_INLINE reg zero() { return _mm512_setzero_ps(); }
    static MPSCNN_INLINE reg set1(float x) { return _mm512_set1_ps(x); }
    static MPSCNN_INLINE reg broadcast(const float *p) { return _mm512_set1_ps(*p); }
    static MPSCNN_INLINE reg load_broadcast(const float *p) { return broadcast(p); }
    static MPSCNN_INLINE reg fma_broadcast(reg a, reg b, reg c) { return fma(a, b, c); }
    static MPSCNN_INLINE reg load(const float *p) { return _mm512_loadu_ps(p); }
    static MPSCNN_INLINE void store(float *p, reg a) { _mm512_storeu_ps(p, a); }
    static MPSCNN_INLINE void store_non_temporal(float *p, reg a) { _mm512_stream_ps(p, a); }
    static MPSCNN_INLINE void fence_non_temporal_stores() { _mm_sfence(); }
    static MPSCNN_INLINE reg load_partial(const float *p, std::int64_t n) {
        return _mm512_maskz_loadu_ps(first(n), p);
    }
    static MPSCNN_INLINE void store_partial(float *p, reg a, std::int64_t n) {
        _mm512_mask_storeu_ps(p, first(n), a);
    }

    struct Narrow {
        static constexpr int width = 8;
        using reg = __m256;

        static MPSCNN_INLINE reg of(__m512 a) { return _mm512_castps512_ps256(a); }
        static MPSCNN_INLINE __m512 widened(reg a) { return _mm512_zextps256_ps512(a); }
        static MPSCNN_INLINE reg load(const float *p) { return _mm256_loadu_ps(p); }
        static MPSCNN_INLINE reg broadcast(const float *p) { return _mm256_broadcast_ss(p); }
        static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm256_fmadd_ps(a, b, c); }
    };

    static MPSCNN_INLINE reg add(reg a, reg b) { return _mm512_add_ps(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return _mm512_sub_ps(a, b); }
    static MPSCNN_INLINE reg mul(reg a, reg b) { return _mm512_mul_ps(a, b); }
    static MPSCNN_INLINE reg div(reg a, reg b) { return _mm512_div_ps(a, b); }
    static MPSCNN_INLINE reg sqrt(reg a) { return _mm512_sqrt_ps(a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm512_fmadd_ps(a, b, c); }
    static MPSCNN_INLINE reg max(reg limit, reg x) { return _mm512_max_ps(limit, x); }
    static MPSCNN_INLINE reg min(reg limit, reg x) { return _mm512_min_ps(limit, x); }
    static MPSCNN_INLINE mask equal(reg a, reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
    static MPSCNN_INLINE mask less(reg a, reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
    static MPSCNN_INLINE reg select(mask m, reg a, reg b) { return _mm512_mask_blend_ps(m, b, a); }

    static MPSCNN_INLINE reg round_to_half(reg a) {
        return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }
    static MPSCNN_INLINE reg load_half(const std::uint16_t *p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(p)));
    }
    static MPSCNN_INLINE void store_half(std::uint16_t *p, reg a) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(p), _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
    }

    static MPSCNN_INLINE reg scale(reg a, reg n) { return _mm512_scalef_ps(a, n); }
    static MPSCNN_INLINE reg power_of_two(reg n) {
        // The sum has n + 127 in its last bits. The shift moves them to the exponent.
        const __m512i biased = _mm512_castps_si512(_mm512_add_ps(n, set1(12582912.0f + 127.0f)));
        return _mm512_castsi512_ps(_mm512_slli_epi32(biased, 23));
    }

    static MPSCNN_INLINE reg exponent(reg a) {
        const __m512i biased = _mm512_srli_epi32(_mm512_castps_si512(a), 23);
        return _mm512_cvtepi32_ps(_mm512_sub_epi32(biased, _mm512_set1_epi32(127)));
    }
    static MPSCNN_INLINE reg significand(reg a) {
        const __m512 fraction = _mm512_and_ps(a, _mm512_castsi512_ps(_mm512_set1_epi32(0x007fffff)));
        return _mm512_or_ps(fraction, set1(1.0f));
    }

    using bits = __m512i;
    static MPSCNN_INLINE bits zero_bits() { return _mm512_setzero_si512(); }
    static MPSCNN_INLINE bits set1_bits(std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); }
    static MPSCNN_INLINE bits load_bits(const std::uint32_t *p) { return _mm512_loadu_si512(p); }
    static MPSCNN_INLINE bits xor_bits(bits a, bits b) { return _mm512_xor_si512(a, b); }
    static MPSCNN_INLINE bits and_bits(bits a, bits b) { return _mm512_and_si512(a, b); }
    static MPSCNN_INLINE bits add_bytes(bits a, bits b) { return _mm512_add_epi8(a, b); }
    static MPSCNN_INLINE bits count_bytes(bits a) {
        // Look up the number of bits of each nibble.
        const __m512i table =
            _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
        const __m512i nibble = _mm512_set1_epi8(0x0f);
        const __m512i low = _mm512_shuffle_epi8(table, _mm512_and_si512(a, nibble));
        const __m512i high = _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(a, 4), nibble));
        return _mm512_add_epi8(low, high);
    }
    static MPSCNN_INLINE bits add_sums_of_bytes(bits sums, bits bytes) {
        const __m512i shorts = _mm512_maddubs_epi16(bytes, _mm512_set1_epi8(1));
        return _mm512_add_epi32(sums, _mm512_madd_epi16(shorts, _mm512_set1_epi16(1)));
    }
    static MPSCNN_INLINE reg from_bits(bits a) { return _mm512_cvtepi32_ps(a); }

    static MPSCNN_INLINE float sum(reg a) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
    static MPSCNN_INLINE float maximum(reg a) {
        if (_mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q)) return __builtin_nanf("");
        const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
    }

private:
    static MPSCNN_INLINE mask first(std::int64_t n) { return static_cast<mask>((1u << n) - 1u); }
};

} // namespace mpscnn::cpu::avx512
