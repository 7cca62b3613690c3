#pragma once

// The class Simd (see simd.h) for x86-64 without extensions, which has SSE2 only.

#include <emmintrin.h>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu::baseline {

struct Simd {
    static constexpr int width = 4;
    static constexpr bool has_non_temporal_stores = true;
    static constexpr bool has_fma = false;
    static constexpr bool has_scale = false;
    static constexpr int registers = 16;
    static constexpr int gemm_rows = 4, gemm_vectors = 2, gemm_last_vectors = 2;
    static constexpr int gemm_single_rows = 8;
    static constexpr int gemm_rows_of_pointer =
        3; // rows at 0, 1 or 2 strides; there are too few registers for a pointer per row
    using element = float;
    using reg = __m128;
    using mask = __m128;

    static MPSCNN_INLINE reg zero() { return _mm_setzero_ps(); }
    static MPSCNN_INLINE reg set1(float x) { return _mm_set1_ps(x); }
    static MPSCNN_INLINE reg broadcast(const float *p) { return _mm_set1_ps(*p); }
    static MPSCNN_INLINE reg load_broadcast(const float *p) { return broadcast(p); }
    static MPSCNN_INLINE reg fma_broadcast(reg a, reg b, reg c) { return fma(a, b, c); }
    static MPSCNN_INLINE reg load(const float *p) { return _mm_loadu_ps(p); }
    static MPSCNN_INLINE void store(float *p, reg a) { _mm_storeu_ps(p, a); }
    static MPSCNN_INLINE void store_non_temporal(float *p, reg a) { _mm_stream_ps(p, a); }
    static MPSCNN_INLINE void fence_non_temporal_stores() { _mm_sfence(); }

    static MPSCNN_INLINE reg load_partial(const float *p, std::int64_t n) {
        switch (n) {
        case 0:
            return zero();
        case 1:
            return _mm_load_ss(p);
        case 2:
            return load_two(p);
        case 3:
            return _mm_movelh_ps(load_two(p), _mm_load_ss(p + 2));
        default:
            return load(p);
        }
    }
    static MPSCNN_INLINE void store_partial(float *p, reg a, std::int64_t n) {
        if (n >= 4) return store(p, a);
        if (n & 2) {
            _mm_storel_epi64(reinterpret_cast<__m128i *>(p), _mm_castps_si128(a));
            a = _mm_movehl_ps(a, a);
            p += 2;
        }
        if (n & 1) _mm_store_ss(p, a);
    }

    static MPSCNN_INLINE reg add(reg a, reg b) { return _mm_add_ps(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return _mm_sub_ps(a, b); }
    static MPSCNN_INLINE reg mul(reg a, reg b) { return _mm_mul_ps(a, b); }
    static MPSCNN_INLINE reg div(reg a, reg b) { return _mm_div_ps(a, b); }
    static MPSCNN_INLINE reg sqrt(reg a) { return _mm_sqrt_ps(a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm_add_ps(_mm_mul_ps(a, b), c); }
    static MPSCNN_INLINE reg max(reg limit, reg x) { return _mm_max_ps(limit, x); }
    static MPSCNN_INLINE reg min(reg limit, reg x) { return _mm_min_ps(limit, x); }
    static MPSCNN_INLINE mask equal(reg a, reg b) { return _mm_cmpeq_ps(a, b); }
    static MPSCNN_INLINE mask less(reg a, reg b) { return _mm_cmplt_ps(a, b); }
    static MPSCNN_INLINE reg select(mask m, reg a, reg b) {
        return _mm_or_ps(_mm_and_ps(m, a), _mm_andnot_ps(m, b));
    }

    static MPSCNN_INLINE reg round_to_half(reg a) {
        const __m128 sign = _mm_and_ps(a, set1(-0.0f)), magnitude = _mm_xor_ps(a, sign);
        // Add a number that is 2^13 times the power of two in `a`. Floats of that size are as far apart as
        // halves of the size of `a`, so the sum rounds to nearest, ties to even. Values below 2^-14, the
        // first normal half, use the spacing at 2^-14.
        const __m128 infinity = _mm_castsi128_ps(_mm_set1_epi32(0x7f800000));
        const __m128 power = _mm_max_ps(set1(0x1p-14f), _mm_and_ps(magnitude, infinity));
        const __m128 larger = _mm_mul_ps(power, set1(0x1p13f));
        const __m128 rounded = _mm_sub_ps(_mm_add_ps(magnitude, larger), larger);
        const __m128 result = select(_mm_cmpge_ps(magnitude, set1(65520.0f)), infinity, rounded);
        // The sum has made a NaN quiet. Keep only the bits of the NaN that a half has.
        return _mm_or_ps(_mm_and_ps(result, _mm_castsi128_ps(_mm_set1_epi32(~0x1fff))), sign);
    }
    static MPSCNN_INLINE reg load_half(const std::uint16_t *p) {
        const __m128i halves = _mm_loadl_epi64(reinterpret_cast<const __m128i *>(p));
        const __m128i words = _mm_unpacklo_epi16(halves, _mm_setzero_si128());
        const __m128i sign = _mm_slli_epi32(_mm_and_si128(words, _mm_set1_epi32(0x8000)), 16);
        const __m128i magnitude = _mm_and_si128(words, _mm_set1_epi32(0x7fff));
        // Move fraction and exponent into place. 112 is the difference of the exponent biases.
        const __m128i moved = _mm_slli_epi32(magnitude, 13);
        const __m128i normal = _mm_add_epi32(moved, _mm_set1_epi32(112 << 23));
        const __m128i special = _mm_or_si128(moved, _mm_set1_epi32(0x7f800000));
        const __m128i is_nan = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7c00));
        const __m128i quiet = _mm_and_si128(is_nan, _mm_set1_epi32(0x00400000));
        const __m128 small = _mm_mul_ps(_mm_cvtepi32_ps(magnitude), set1(0x1p-24f));
        __m128i result =
            choose(_mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x0400)), _mm_castps_si128(small), normal);
        result =
            choose(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x7bff)), _mm_or_si128(special, quiet), result);
        return _mm_castsi128_ps(_mm_or_si128(result, sign));
    }
    static MPSCNN_INLINE void store_half(std::uint16_t *p, reg a) {
        const __m128i bits = _mm_castps_si128(round_to_half(a));
        const __m128i sign = _mm_and_si128(_mm_srli_epi32(bits, 16), _mm_set1_epi32(0x8000));
        const __m128i magnitude = _mm_and_si128(bits, _mm_set1_epi32(0x7fffffff));
        const __m128i special = _mm_or_si128(
            _mm_set1_epi32(0x7c00), _mm_and_si128(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(0x3ff)));
        const __m128i normal = _mm_sub_epi32(_mm_srli_epi32(magnitude, 13), _mm_set1_epi32(112 << 10));
        const __m128i small = _mm_cvtps_epi32(_mm_mul_ps(_mm_castsi128_ps(magnitude), set1(0x1p24f)));
        __m128i result = choose(_mm_cmplt_epi32(magnitude, _mm_set1_epi32(0x38800000)), small, normal);
        result = choose(_mm_cmpgt_epi32(magnitude, _mm_set1_epi32(0x477fffff)), special, result);
        result = _mm_or_si128(result, sign);
        // Extend the sign from the 16th bit, because SSE2 only packs with signed saturation.
        result = _mm_srai_epi32(_mm_slli_epi32(result, 16), 16);
        _mm_storel_epi64(reinterpret_cast<__m128i *>(p), _mm_packs_epi32(result, result));
    }

    static MPSCNN_INLINE reg power_of_two(reg n) {
        // The sum has n + 127 in its last bits. The shift moves them to the exponent.
        const __m128i biased = _mm_castps_si128(_mm_add_ps(n, set1(12582912.0f + 127.0f)));
        return _mm_castsi128_ps(_mm_slli_epi32(biased, 23));
    }

    static MPSCNN_INLINE reg exponent(reg a) {
        const __m128i biased = _mm_srli_epi32(_mm_castps_si128(a), 23);
        return _mm_cvtepi32_ps(_mm_sub_epi32(biased, _mm_set1_epi32(127)));
    }
    static MPSCNN_INLINE reg significand(reg a) {
        const __m128 fraction = _mm_and_ps(a, _mm_castsi128_ps(_mm_set1_epi32(0x007fffff)));
        return _mm_or_ps(fraction, set1(1.0f));
    }

    using bits = __m128i;
    static MPSCNN_INLINE bits zero_bits() { return _mm_setzero_si128(); }
    static MPSCNN_INLINE bits set1_bits(std::uint32_t x) { return _mm_set1_epi32(static_cast<int>(x)); }
    static MPSCNN_INLINE bits load_bits(const std::uint32_t *p) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(p));
    }
    static MPSCNN_INLINE bits xor_bits(bits a, bits b) { return _mm_xor_si128(a, b); }
    static MPSCNN_INLINE bits and_bits(bits a, bits b) { return _mm_and_si128(a, b); }
    static MPSCNN_INLINE bits add_bytes(bits a, bits b) { return _mm_add_epi8(a, b); }
    static MPSCNN_INLINE bits count_bytes(bits a) {
        // Sum neighbouring bits, then pairs, then nibbles, in all bytes in parallel.
        const __m128i pairs = _mm_sub_epi8(a, _mm_and_si128(_mm_srli_epi16(a, 1), _mm_set1_epi8(0x55)));
        const __m128i low = _mm_and_si128(pairs, _mm_set1_epi8(0x33));
        const __m128i nibbles =
            _mm_add_epi8(low, _mm_and_si128(_mm_srli_epi16(pairs, 2), _mm_set1_epi8(0x33)));
        return _mm_and_si128(_mm_add_epi8(nibbles, _mm_srli_epi16(nibbles, 4)), _mm_set1_epi8(0x0f));
    }
    static MPSCNN_INLINE bits add_sums_of_bytes(bits sums, bits bytes) {
        const __m128i even = _mm_and_si128(bytes, _mm_set1_epi16(0x00ff));
        const __m128i shorts = _mm_add_epi16(even, _mm_srli_epi16(bytes, 8));
        return _mm_add_epi32(sums, _mm_madd_epi16(shorts, _mm_set1_epi16(1)));
    }
    static MPSCNN_INLINE reg from_bits(bits a) { return _mm_cvtepi32_ps(a); }

    static MPSCNN_INLINE float sum(reg a) {
        const reg two = _mm_add_ps(a, _mm_movehl_ps(a, a));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
    }
    static MPSCNN_INLINE float maximum(reg a) {
        const reg two = greater(a, _mm_movehl_ps(a, a));
        return _mm_cvtss_f32(greater(two, _mm_shuffle_ps(two, two, 1)));
    }

private:
    static MPSCNN_INLINE reg load_two(const float *p) {
        return _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(p)));
    }
    static MPSCNN_INLINE __m128i choose(__m128i m, __m128i a, __m128i b) {
        return _mm_or_si128(_mm_and_si128(m, a), _mm_andnot_si128(m, b));
    }
    /// Return the greater operand, or NaN if either is NaN.
    static MPSCNN_INLINE reg greater(reg a, reg b) {
        return select(_mm_cmpunord_ps(a, a), a, _mm_max_ps(a, b));
    }
};

} // namespace mpscnn::cpu::baseline
