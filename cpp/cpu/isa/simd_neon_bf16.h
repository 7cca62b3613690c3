#pragma once

// The class Simd (see simd.h) for NEON with dot products of bfloat16 numbers (Armv8.6).

#include "cpu/isa/simd_neon.h"

namespace mpscnn::cpu::neon_bf16 {

struct Simd : neon::Simd {
    using element = Bfloat16;

    // BFDOT adds the two products of a pair, rounded to odd, and then adds the result to `sum`.
    static MPSCNN_INLINE reg fma_broadcast(float a, reg b, reg sum) {
        return vbfdotq_lane_f32(sum, vreinterpretq_bf16_f32(b), vreinterpret_bf16_f32(vdup_n_f32(a)), 0);
    }
    static MPSCNN_INLINE reg round_to_bfloat16(reg a) { return expanded(rounded(a)); }
    static MPSCNN_INLINE reg pair(reg a, reg b) {
        const uint32x4_t first = vmovl_u16(rounded(a)), second = vshll_n_u16(rounded(b), 16);
        return vreinterpretq_f32_u32(vorrq_u32(first, second));
    }

    using neon::Simd::load;
    using neon::Simd::load_partial;
    using neon::Simd::store;
    using neon::Simd::store_partial;
    static MPSCNN_INLINE reg load(const Bfloat16 *p) { return expanded(vld1_u16(&p->bits)); }
    static MPSCNN_INLINE reg load_partial(const Bfloat16 *p, std::int64_t n) {
        uint16x4_t value = vdup_n_u16(0);
        if (n > 0) value = vld1_lane_u16(&p[0].bits, value, 0);
        if (n > 1) value = vld1_lane_u16(&p[1].bits, value, 1);
        if (n > 2) value = vld1_lane_u16(&p[2].bits, value, 2);
        if (n > 3) value = vld1_lane_u16(&p[3].bits, value, 3);
        return expanded(value);
    }
    static MPSCNN_INLINE void store(Bfloat16 *p, reg a) { vst1_u16(&p->bits, rounded(a)); }
    static MPSCNN_INLINE void store_partial(Bfloat16 *p, reg a, std::int64_t n) {
        const uint16x4_t value = rounded(a);
        if (n > 0) vst1_lane_u16(&p[0].bits, value, 0);
        if (n > 1) vst1_lane_u16(&p[1].bits, value, 1);
        if (n > 2) vst1_lane_u16(&p[2].bits, value, 2);
        if (n > 3) vst1_lane_u16(&p[3].bits, value, 3);
    }
    static MPSCNN_INLINE void store_two(Bfloat16 *p, reg a, reg b) {
        vst1q_u16(&p->bits, vcombine_u16(rounded(a), rounded(b)));
    }

private:
    /// Round to bfloat16. Subnormal numbers are flushed to zero before, as on other processors
    /// (core/bfloat16.h).
    static MPSCNN_INLINE uint16x4_t rounded(reg a) {
        const uint32x4_t normal = vcgeq_f32(vabsq_f32(a), vdupq_n_f32(0x1p-126f));
        const uint32x4_t sign = vdupq_n_u32(0x80000000u), bits = vreinterpretq_u32_f32(a);
        const uint32x4_t is_number = vceqq_f32(a, a);
        const uint32x4_t kept = vornq_u32(normal, is_number);
        const float32x4_t flushed = vreinterpretq_f32_u32(vandq_u32(bits, vorrq_u32(kept, sign)));
        return vreinterpret_u16_bf16(vcvt_bf16_f32(flushed));
    }
    static MPSCNN_INLINE reg expanded(uint16x4_t a) { return vreinterpretq_f32_u32(vshll_n_u16(a, 16)); }
};

} // namespace mpscnn::cpu::neon_bf16
