#pragma once

// Dot products of pairs of 16-bit integers, added to 32-bit sums. They are exact, because a byte minus a zero
// point has only 9 bits.

#include <cstdint>

#include "cpu/isa/simd.h"
#include "cpu/kernels/tasks/integer.h"

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace mpscnn::cpu {
namespace {

MPSCNN_INLINE std::int32_t both(const std::int16_t *pair) {
    std::int32_t value;
    __builtin_memcpy(&value, pair, sizeof value);
    return value;
}

/// The registers that hold the sums of one pixel for a panel of 16 outputs. add() multiplies a pair of inputs
/// by the weights of all outputs. add_product(), for depthwise layers, multiplies each channel's input by its
/// weight.
#if defined(__AVX512BW__)
struct PanelSums {
    static constexpr int registers = 1;
    using reg = __m512i;
    static MPSCNN_INLINE reg load(const std::int32_t *from) { return _mm512_loadu_si512(from); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) { _mm512_storeu_si512(to, value); }
    static MPSCNN_INLINE reg broadcast(const std::int16_t *pair) { return _mm512_set1_epi32(both(pair)); }
    static MPSCNN_INLINE reg weights(const std::int16_t *from) { return _mm512_loadu_si512(from); }
    static MPSCNN_INLINE reg add(reg sum, reg weights, reg pair) {
#if defined(__AVX512VNNI__)
        return _mm512_dpwssd_epi32(sum, weights, pair);
#else
        return _mm512_add_epi32(sum, _mm512_madd_epi16(weights, pair));
#endif
    }
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm512_set1_epi32(value); }
    static MPSCNN_INLINE reg add_product(reg sum, const std::uint8_t *bytes, reg zero,
                                         const std::int16_t *weights) {
        const reg x = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes))),
                  w = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(weights)));
        return add(sum, _mm512_sub_epi32(x, zero), w);
    }
    static constexpr int pixels = 12;
};
#elif defined(__AVX2__)
struct PanelSums {
    static constexpr int registers = 2;
    using reg = __m256i;
    static MPSCNN_INLINE reg load(const std::int32_t *from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), value);
    }
    static MPSCNN_INLINE reg broadcast(const std::int16_t *pair) { return _mm256_set1_epi32(both(pair)); }
    static MPSCNN_INLINE reg weights(const std::int16_t *from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    }
    static MPSCNN_INLINE reg add(reg sum, reg weights, reg pair) {
        return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, pair));
    }
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm256_set1_epi32(value); }
    static MPSCNN_INLINE reg add_product(reg sum, const std::uint8_t *bytes, reg zero,
                                         const std::int16_t *weights) {
        const reg x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes))),
                  w = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(weights)));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_sub_epi32(x, zero), w));
    }
    static constexpr int pixels = 6;
};
#elif defined(__SSE2__)
struct PanelSums {
    static constexpr int registers = 4;
    using reg = __m128i;
    static MPSCNN_INLINE reg load(const std::int32_t *from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) {
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to), value);
    }
    static MPSCNN_INLINE reg broadcast(const std::int16_t *pair) { return _mm_set1_epi32(both(pair)); }
    static MPSCNN_INLINE reg weights(const std::int16_t *from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i *>(from));
    }
    static MPSCNN_INLINE reg add(reg sum, reg weights, reg pair) {
        return _mm_add_epi32(sum, _mm_madd_epi16(weights, pair));
    }
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm_set1_epi32(value); }
    static MPSCNN_INLINE reg add_product(reg sum, const std::uint8_t *bytes, reg zero,
                                         const std::int16_t *weights) {
        std::int32_t four;
        __builtin_memcpy(&four, bytes, sizeof four);
        const reg none = _mm_setzero_si128(),
                  x = _mm_unpacklo_epi16(_mm_unpacklo_epi8(_mm_cvtsi32_si128(four), none), none),
                  w = _mm_unpacklo_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(weights)), none);
        return _mm_add_epi32(sum, _mm_madd_epi16(_mm_sub_epi32(x, zero), w));
    }
    static constexpr int pixels = 2;
};
#elif defined(__ARM_NEON)
struct PanelSums {
    static constexpr int registers = 4;
    using reg = int32x4_t;
    using pairs = int16x8_t;
    static MPSCNN_INLINE reg load(const std::int32_t *from) { return vld1q_s32(from); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) { vst1q_s32(to, value); }
    static MPSCNN_INLINE pairs broadcast(const std::int16_t *pair) {
        return vreinterpretq_s16_s32(vdupq_n_s32(both(pair)));
    }
    static MPSCNN_INLINE pairs weights(const std::int16_t *from) { return vld1q_s16(from); }
    static MPSCNN_INLINE reg add(reg sum, pairs weights, pairs pair) {
        const int32x4_t low = vmull_s16(vget_low_s16(weights), vget_low_s16(pair));
        const int32x4_t high = vmull_high_s16(weights, pair);
        return vaddq_s32(sum, vpaddq_s32(low, high));
    }
    static MPSCNN_INLINE reg splat(std::int32_t value) { return vdupq_n_s32(value); }
    static MPSCNN_INLINE reg add_product(reg sum, const std::uint8_t *bytes, reg zero,
                                         const std::int16_t *weights) {
        std::uint32_t four;
        __builtin_memcpy(&four, bytes, sizeof four);
        const int16x4_t x = vreinterpret_s16_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
        return vmlal_s16(sum, vsub_s16(x, vmovn_s32(zero)), vld1_s16(weights));
    }
    static constexpr int pixels = 4;
};
#endif

/// Force the compiler to keep a sum in its register. Some compilers would first add the products of two
/// steps, which needs more registers than there are.
template <class Register> MPSCNN_INLINE void keep_sum([[maybe_unused]] Register &sum) {
#if defined(__AVX2__)
    keep_in_register(sum);
#endif
}

/// Compute the sums of `pixels` pixels for one panel of outputs. Each pixel's inputs are a row of pairs, and
/// rows are `pitch` apart. The function is not inlined, so that no other variables occupy registers.
template <int pixels>
__attribute__((noinline)) void add_pairs(const std::int16_t *rows, std::ptrdiff_t pitch, std::int64_t pairs,
                                         const std::int16_t *weights, const std::int32_t *bias,
                                         std::int32_t *sums) {
    constexpr int registers = PanelSums::registers, lanes = IntegerWeights::panel / registers;
    typename PanelSums::reg totals[pixels][registers];
    for (int r = 0; r < registers; ++r) {
        const auto start = PanelSums::load(bias + r * lanes);
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) totals[p][r] = start;
    }
    const auto add = [&](std::int64_t k) __attribute__((always_inline)) {
        decltype(PanelSums::weights(weights)) own[registers];
#pragma GCC unroll 4
        for (int r = 0; r < registers; ++r)
            own[r] = PanelSums::weights(weights + 2 * (k * IntegerWeights::panel + lanes * r));
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) {
            const auto pair = PanelSums::broadcast(rows + p * pitch + 2 * k);
#pragma GCC unroll 4
            for (int r = 0; r < registers; ++r) {
                totals[p][r] = PanelSums::add(totals[p][r], own[r], pair);
                keep_sum(totals[p][r]);
            }
        }
    };
    // Unroll by two, because otherwise the instructions of the loop itself would slow down processors that
    // execute six instructions per cycle.
    std::int64_t k = 0;
    for (; k + 2 <= pairs; k += 2) add(k), add(k + 1);
    if (k < pairs) add(k);
#pragma GCC unroll 16
    for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 4
        for (int r = 0; r < registers; ++r)
            PanelSums::store(sums + p * IntegerWeights::panel + r * lanes, totals[p][r]);
}

} // namespace
} // namespace mpscnn::cpu
