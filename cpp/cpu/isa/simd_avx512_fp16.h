#pragma once

// The class Simd (see simd.h) for AVX-512 with float16 arithmetic (AVX512_FP16), and the class Halves for
// cpu/kernels/convolution/half_sums.h.

#include "cpu/isa/simd_avx512.h"

namespace mpscnn::cpu::avx512_fp16 {

using avx512::Simd;

struct Halves {
    using reg = __m512h;
    using number = std::uint16_t;
    static constexpr int width = 32, rows = 14;

    static MPSCNN_INLINE reg load(const std::uint16_t *p) { return _mm512_loadu_ph(p); }
    static MPSCNN_INLINE reg broadcast(const number *p) {
        return _mm512_castsi512_ph(_mm512_set1_epi16(static_cast<short>(*p)));
    }
    static MPSCNN_INLINE reg from_floats(const float *p, std::int64_t count) {
        const auto half = [&](std::int64_t first) {
            const std::int64_t left = count - first;
            const __m512 floats = left >= 16 ? Simd::load(p + first)
                                  : left > 0 ? Simd::load_partial(p + first, left)
                                             : Simd::zero();
            return _mm512_cvtps_ph(floats, _MM_FROUND_TO_NEAREST_INT);
        };
        return _mm512_castsi512_ph(_mm512_inserti64x4(_mm512_castsi256_si512(half(0)), half(16), 1));
    }
    static MPSCNN_INLINE void to_floats(float *p, reg a) {
        const __m512i bits = _mm512_castph_si512(a);
        Simd::store(p, _mm512_cvtph_ps(_mm512_castsi512_si256(bits)));
        Simd::store(p + 16, _mm512_cvtph_ps(_mm512_extracti64x4_epi64(bits, 1)));
    }
    static MPSCNN_INLINE void gather(const float *from, number *to, std::int64_t count) {
        std::int64_t i = 0;
        for (; i + Simd::width <= count; i += Simd::width) Simd::store_half(to + i, Simd::load(from + i));
        if (i == count) return;
        const __m256i last =
            _mm512_cvtps_ph(Simd::load_partial(from + i, count - i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_mask_storeu_epi16(to + i, static_cast<__mmask16>((1u << (count - i)) - 1), last);
    }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return _mm512_fmadd_ph(a, b, c); }
};

} // namespace mpscnn::cpu::avx512_fp16
