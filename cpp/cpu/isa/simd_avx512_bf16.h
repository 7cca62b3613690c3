#pragma once

// The class Simd (see simd.h) for AVX-512 with dot products of bfloat16 numbers (AVX512_BF16).

#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::avx512_bf16 {

struct Simd : avx512::Simd {
    using element = Bfloat16;

    // vdpbf16ps does two FMAs, the first with the second numbers of the pairs. It treats subnormal numbers as
    // zeros, also in sums.
    static MPSCNN_INLINE reg fma_broadcast(reg a, reg b, reg sum) {
#if defined(__clang__)
        keep_in_register(a); // LLVM 16 fails on some loops in which it can see how a factor is computed
#endif
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
    }
    static MPSCNN_INLINE reg round_to_bfloat16(reg a) { return expanded(rounded(a)); }
    static MPSCNN_INLINE reg pair(reg a, reg b) {
        const __m512i first = _mm512_cvtepu16_epi32(rounded(a)), second = _mm512_cvtepu16_epi32(rounded(b));
        return _mm512_castsi512_ps(_mm512_or_si512(first, _mm512_slli_epi32(second, 16)));
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
        const auto both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
        _mm512_storeu_si512(p, both);
    }

    /// Load consecutive floats from p into the lanes whose bits in `lanes` are 1. The other lanes are zero.
    static MPSCNN_INLINE reg spread(const float *p, unsigned lanes) {
        return _mm512_maskz_expandloadu_ps(static_cast<mask>(lanes), p);
    }

private:
    static MPSCNN_INLINE __m256i rounded(reg a) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(a)); }
    static MPSCNN_INLINE reg expanded(__m256i a) {
        return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16));
    }
    static MPSCNN_INLINE mask first_lanes(std::int64_t n) { return static_cast<mask>((1u << n) - 1u); }
};

} // namespace mpscnn::cpu::avx512_bf16
