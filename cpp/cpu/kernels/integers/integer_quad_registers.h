#pragma once

// Registers of 32-bit sums with an instruction that adds the products of four bytes by four signed weights,
// without saturation: VPDPBUSD of AVX512_VNNI and of AVX-VNNI (256 bits), USDOT of arm64's FEAT_I8MM and SDOT
// of FEAT_DotProd. SDOT multiplies signed bytes. For it, 128 is subtracted from each byte, which the bias
// corrects.
//
// AVX2 alone adds two products with saturation to 16 bits (VPMADDUBSW), adds two of the sums to 32 bits
// (VPMADDWD by ones), and then the 32-bit sums. Weights are chosen so that no sum saturates.

#include <cstdint>

#include "cpu/isa/simd.h"
#include "cpu/kernels/tasks/integer.h"

#if defined(__AVX512VNNI__) || defined(__AVXVNNI__)
#define MPSCNN_MULTIPLIES_QUADS
#include <immintrin.h>
#elif defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
#define MPSCNN_MULTIPLIES_QUADS
#include <immintrin.h>
#elif defined(__ARM_FEATURE_DOTPROD)
#define MPSCNN_MULTIPLIES_QUADS
#include <arm_neon.h>
#endif

namespace mpscnn::cpu {
namespace {

#if defined(MPSCNN_MULTIPLIES_QUADS)
MPSCNN_INLINE std::int32_t four_bytes(const std::uint8_t *from) {
    std::int32_t four;
    __builtin_memcpy(&four, from, sizeof four);
    return four;
}
#endif

/// The register block of sums: `pixels` pixels x `panels` panels, with `of_panel` registers for the 16
/// outputs of a panel.
#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
struct QuadRegisters {
    static constexpr int of_panel = 1, panels = 2, pixels = 12;
    static constexpr std::int32_t centre = 0; ///< number that kernels subtract from each input byte
    using reg = __m512i;
    static MPSCNN_INLINE reg load(const std::int32_t *from) { return _mm512_loadu_si512(from); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg sums) { _mm512_storeu_si512(to, sums); }
    static MPSCNN_INLINE reg weights(const std::int8_t *from) { return _mm512_loadu_si512(from); }
    /// Load four bytes of a pixel and broadcast them to the lanes of all outputs.
    static MPSCNN_INLINE reg broadcast(const std::uint8_t *from) {
        return _mm512_set1_epi32(four_bytes(from));
    }
    static MPSCNN_INLINE reg add(reg sums, reg bytes, reg weights) {
        return _mm512_dpbusd_epi32(sums, bytes, weights);
    }
};
#elif defined(__AVX512VNNI__) || defined(__AVXVNNI__) || defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
struct QuadRegisters {
    static constexpr int of_panel = 2, panels = 1;
#if defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
    static constexpr int pixels = 4;
#else
    static constexpr int pixels = 6;
#endif
    static constexpr std::int32_t centre = 0;
    using reg = __m256i;
    static MPSCNN_INLINE reg load(const std::int32_t *from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    }
    static MPSCNN_INLINE void store(std::int32_t *to, reg sums) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), sums);
    }
    static MPSCNN_INLINE reg weights(const std::int8_t *from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    }
    static MPSCNN_INLINE reg broadcast(const std::uint8_t *from) {
        return _mm256_set1_epi32(four_bytes(from));
    }
    static MPSCNN_INLINE reg add(reg sums, reg bytes, reg weights) {
#if defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
        return add_words(sums, _mm256_maddubs_epi16(bytes, weights), _mm256_set1_epi16(1));
#elif defined(__AVXVNNI__)
        return _mm256_dpbusd_avx_epi32(sums, bytes, weights);
#else
        return _mm256_dpbusd_epi32(sums, bytes, weights);
#endif
    }
#if defined(MPSCNN_MULTIPLIES_QUADS_BY_PAIRS)
    /// Add the products of two steps, whose sums fit 16 bits.
    static MPSCNN_INLINE reg add(reg sums, reg bytes, reg weights, reg others, reg their_weights) {
        return add_words(sums,
                         _mm256_add_epi16(_mm256_maddubs_epi16(bytes, weights),
                                          _mm256_maddubs_epi16(others, their_weights)),
                         _mm256_set1_epi16(1));
    }
    /// Add the products of pairs of 16-bit integers.
    static MPSCNN_INLINE reg add_words(reg sums, reg words, reg weights) {
        const reg products = _mm256_madd_epi16(words, weights);
        // Compilers would otherwise copy the sum in each step, or add the products of two steps first.
        asm("vpaddd %1, %0, %0" : "+x"(sums) : "x"(products));
        return sums;
    }
#endif
};
#elif defined(__ARM_FEATURE_DOTPROD)
struct QuadRegisters {
    static constexpr int of_panel = 4, panels = 1, pixels = 5;
    using reg = int32x4_t;
    static MPSCNN_INLINE reg load(const std::int32_t *from) { return vld1q_s32(from); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg sums) { vst1q_s32(to, sums); }
    static MPSCNN_INLINE int8x16_t weights(const std::int8_t *from) { return vld1q_s8(from); }
#if defined(__ARM_FEATURE_MATMUL_INT8)
    static constexpr std::int32_t centre = 0;
    static MPSCNN_INLINE uint8x16_t broadcast(const std::uint8_t *from) {
        return vreinterpretq_u8_s32(vdupq_n_s32(four_bytes(from)));
    }
    static MPSCNN_INLINE reg add(reg sums, uint8x16_t bytes, int8x16_t weights) {
        return vusdotq_s32(sums, bytes, weights);
    }
#else
    static constexpr std::int32_t centre = 128;
    static MPSCNN_INLINE int8x16_t broadcast(const std::uint8_t *from) {
        const uint8x16_t bytes = vreinterpretq_u8_s32(vdupq_n_s32(four_bytes(from)));
        return vreinterpretq_s8_u8(veorq_u8(bytes, vdupq_n_u8(128)));
    }
    static MPSCNN_INLINE reg add(reg sums, int8x16_t bytes, int8x16_t weights) {
        return vdotq_s32(sums, bytes, weights);
    }
#endif
};
#endif

} // namespace
} // namespace mpscnn::cpu
