#pragma once

// The class Simd (see simd.h) for arm64, whose baseline includes NEON with FMA and half conversion.

#include <arm_neon.h>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu::neon {

struct Simd {
    static constexpr int width = 4;
    static constexpr bool has_non_temporal_stores = false; // NEON only has a hint for pairs of registers
    static constexpr bool has_fma = true;
    static constexpr bool has_scale = false;
    static constexpr int registers = 32;
    static constexpr int gemm_rows = 8, gemm_vectors = 3, gemm_last_vectors = 3;
    static constexpr int gemm_single_rows = 11; // with more rows, the pointers would not fit the registers
    static constexpr int gemm_rows_of_pointer = 1;
    using element = float;
    using reg = float32x4_t;
    using mask = uint32x4_t;

    static MPSCNN_INLINE reg zero() { return vdupq_n_f32(0.0f); }
    static MPSCNN_INLINE reg set1(float x) { return vdupq_n_f32(x); }
    static MPSCNN_INLINE reg broadcast(const float *p) { return vld1q_dup_f32(p); }
    // Load a float so that an FMA can use it as the factor for all lanes. Otherwise compilers would load it
    // into all lanes, which takes a vector instruction on many processors.
    static MPSCNN_INLINE float load_broadcast(const float *p) {
        float x = *p;
        keep_in_register(x);
        return x;
    }
    static MPSCNN_INLINE reg fma_broadcast(float a, reg b, reg c) { return vfmaq_n_f32(c, b, a); }
    static MPSCNN_INLINE reg load(const float *p) { return vld1q_f32(p); }
    static MPSCNN_INLINE void store(float *p, reg a) { vst1q_f32(p, a); }

    static MPSCNN_INLINE reg load_partial(const float *p, std::int64_t n) {
        switch (n) {
        case 0:
            return zero();
        case 1:
            return vld1q_lane_f32(p, zero(), 0);
        case 2:
            return vcombine_f32(vld1_f32(p), vdup_n_f32(0.0f));
        case 3:
            return vcombine_f32(vld1_f32(p), vld1_lane_f32(p + 2, vdup_n_f32(0.0f), 0));
        default:
            return load(p);
        }
    }
    static MPSCNN_INLINE void store_partial(float *p, reg a, std::int64_t n) {
        if (n >= 4) return store(p, a);
        float32x2_t rest = vget_low_f32(a);
        if (n & 2) {
            vst1_f32(p, rest);
            rest = vget_high_f32(a);
            p += 2;
        }
        if (n & 1) vst1_lane_f32(p, rest, 0);
    }

    static MPSCNN_INLINE reg add(reg a, reg b) { return vaddq_f32(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return vsubq_f32(a, b); }
    static MPSCNN_INLINE reg mul(reg a, reg b) { return vmulq_f32(a, b); }
    static MPSCNN_INLINE reg div(reg a, reg b) { return vdivq_f32(a, b); }
    static MPSCNN_INLINE reg sqrt(reg a) { return vsqrtq_f32(a); }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) { return vfmaq_f32(c, a, b); }
    // vmaxq_f32 is not used, because it keeps a NaN of either operand and orders the zeros by sign.
    static MPSCNN_INLINE reg max(reg limit, reg x) { return vbslq_f32(vcgtq_f32(limit, x), limit, x); }
    static MPSCNN_INLINE reg min(reg limit, reg x) { return vbslq_f32(vcltq_f32(limit, x), limit, x); }
    static MPSCNN_INLINE mask equal(reg a, reg b) { return vceqq_f32(a, b); }
    static MPSCNN_INLINE mask less(reg a, reg b) { return vcltq_f32(a, b); }
    static MPSCNN_INLINE reg select(mask m, reg a, reg b) { return vbslq_f32(m, a, b); }

    static MPSCNN_INLINE reg round_to_half(reg a) { return vcvt_f32_f16(vcvt_f16_f32(a)); }
    static MPSCNN_INLINE reg load_half(const std::uint16_t *p) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
    }
    static MPSCNN_INLINE void store_half(std::uint16_t *p, reg a) {
        vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a)));
    }

    static MPSCNN_INLINE reg power_of_two(reg n) {
        // The sum has n + 127 in its last bits. The shift moves them to the exponent.
        const uint32x4_t biased = vreinterpretq_u32_f32(vaddq_f32(n, set1(12582912.0f + 127.0f)));
        return vreinterpretq_f32_u32(vshlq_n_u32(biased, 23));
    }

    static MPSCNN_INLINE reg exponent(reg a) {
        const int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(a), 23));
        return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
    }
    static MPSCNN_INLINE reg significand(reg a) {
        const uint32x4_t fraction = vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x007fffff));
        return vreinterpretq_f32_u32(vorrq_u32(fraction, vreinterpretq_u32_f32(set1(1.0f))));
    }

    using bits = uint32x4_t;
    static MPSCNN_INLINE bits zero_bits() { return vdupq_n_u32(0); }
    static MPSCNN_INLINE bits set1_bits(std::uint32_t x) { return vdupq_n_u32(x); }
    static MPSCNN_INLINE bits load_bits(const std::uint32_t *p) { return vld1q_u32(p); }
    static MPSCNN_INLINE bits xor_bits(bits a, bits b) { return veorq_u32(a, b); }
    static MPSCNN_INLINE bits and_bits(bits a, bits b) { return vandq_u32(a, b); }
    static MPSCNN_INLINE bits add_bytes(bits a, bits b) {
        return vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(a), vreinterpretq_u8_u32(b)));
    }
    static MPSCNN_INLINE bits count_bytes(bits a) {
        return vreinterpretq_u32_u8(vcntq_u8(vreinterpretq_u8_u32(a)));
    }
    static MPSCNN_INLINE bits add_sums_of_bytes(bits sums, bits bytes) {
        return vpadalq_u16(sums, vpaddlq_u8(vreinterpretq_u8_u32(bytes)));
    }
    static MPSCNN_INLINE reg from_bits(bits a) { return vcvtq_f32_u32(a); }

    static MPSCNN_INLINE float sum(reg a) {
        const float32x2_t two = vadd_f32(vget_low_f32(a), vget_high_f32(a));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
    static MPSCNN_INLINE float maximum(reg a) { return vmaxvq_f32(a); }
};

} // namespace mpscnn::cpu::neon
