#pragma once

// The class Simd (see simd.h) for NEON with float16 arithmetic (FEAT_FP16), and the class Halves for
// cpu/kernels/convolution/half_sums.h.

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_fp16 {

using neon::Simd;

struct Halves {
    using reg = float16x8_t;
    using number = std::uint16_t;
    static constexpr int width = 8, rows = 4;

    static MPSCNN_INLINE reg load(const std::uint16_t *p) { return vreinterpretq_f16_u16(vld1q_u16(p)); }
    static MPSCNN_INLINE reg broadcast(const number *p) { return vreinterpretq_f16_u16(vld1q_dup_u16(p)); }
    static MPSCNN_INLINE reg from_floats(const float *p, std::int64_t count) {
        const auto half = [&](std::int64_t first) {
            const std::int64_t left = count - first;
            return vcvt_f16_f32(left >= 4  ? Simd::load(p + first)
                                : left > 0 ? Simd::load_partial(p + first, left)
                                           : Simd::zero());
        };
        return vcombine_f16(half(0), half(4));
    }
    static MPSCNN_INLINE void to_floats(float *p, reg a) {
        Simd::store(p, vcvt_f32_f16(vget_low_f16(a)));
        Simd::store(p + 4, vcvt_f32_f16(vget_high_f16(a)));
    }
    static MPSCNN_INLINE void gather(const float *from, number *to, std::int64_t count) {
        std::int64_t i = 0;
        for (; i + Simd::width <= count; i += Simd::width) Simd::store_half(to + i, Simd::load(from + i));
        if (i == count) return;
        const uint16x4_t last = vreinterpret_u16_f16(vcvt_f16_f32(Simd::load_partial(from + i, count - i)));
        number lanes[Simd::width];
        vst1_u16(lanes, last);
        for (std::int64_t lane = 0; i < count; ++i, ++lane) to[i] = lanes[lane];
    }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return vfmaq_f16(c, a, b); }
};

} // namespace mpscnn::cpu::neon_fp16
