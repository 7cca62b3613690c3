#include "core/half_blocks.h"

#include <array>

#include "core/half.h"
#include "core/processor.h"

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace mpscnn {

namespace {

using half_detail::overflow_threshold;

bool portable_to_halves(const float *floats, std::uint16_t *halves, std::size_t blocks, bool) {
    bool large = false;
    for (std::size_t i = 0; i < blocks * HalfBlocks::size; ++i) {
        halves[i] = half_from_float(floats[i]);
        large |= (halves[i] & 0x7fff) >= half_detail::half_infinity;
    }
    return large;
}

void portable_to_floats(const std::uint16_t *halves, float *floats, std::size_t blocks, bool) {
    for (std::size_t i = 0; i < blocks * HalfBlocks::size; ++i) floats[i] = float_from_half(halves[i]);
}

constexpr HalfBlocks portable{"portable", portable_to_halves, portable_to_floats};

#if defined(__x86_64__)

// Target attributes select the instruction set of each function here, instead of compiler flags for the whole
// file. The functions call no inline function of the C++ library, because the linker might use a copy with
// these instructions for the whole program.

#define MPSCNN_F16C __attribute__((target("avx2,f16c")))
#define MPSCNN_HALVES_AVX512 __attribute__((target("avx512f,avx2,f16c")))

MPSCNN_F16C bool f16c_to_halves(const float *floats, std::uint16_t *halves, std::size_t blocks, bool stream) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256i largest = _mm256_setzero_si256();
    for (; blocks > 0; --blocks, floats += HalfBlocks::size, halves += HalfBlocks::size) {
        const __m256 low = _mm256_loadu_ps(floats), high = _mm256_loadu_ps(floats + 8);
        largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(low), magnitude));
        largest = _mm256_max_epi32(largest, _mm256_and_si256(_mm256_castps_si256(high), magnitude));
        const __m256i both = _mm256_set_m128i(_mm256_cvtps_ph(high, _MM_FROUND_TO_NEAREST_INT),
                                              _mm256_cvtps_ph(low, _MM_FROUND_TO_NEAREST_INT));
        if (stream)
            _mm256_stream_si256(reinterpret_cast<__m256i *>(halves), both);
        else
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(halves), both);
    }
    if (stream) _mm_sfence();
    const __m256i last = _mm256_set1_epi32(static_cast<int>(overflow_threshold) - 1);
    return _mm256_movemask_epi8(_mm256_cmpgt_epi32(largest, last)) != 0;
}

MPSCNN_F16C void f16c_to_floats(const std::uint16_t *halves, float *floats, std::size_t blocks, bool stream) {
    for (; blocks > 0; --blocks, floats += HalfBlocks::size, halves += HalfBlocks::size) {
        const auto *from = reinterpret_cast<const __m128i *>(halves);
        const __m256 low = _mm256_cvtph_ps(_mm_loadu_si128(from));
        const __m256 high = _mm256_cvtph_ps(_mm_loadu_si128(from + 1));
        if (stream) {
            _mm256_stream_ps(floats, low);
            _mm256_stream_ps(floats + 8, high);
        } else {
            _mm256_storeu_ps(floats, low);
            _mm256_storeu_ps(floats + 8, high);
        }
    }
    if (stream) _mm_sfence();
}

MPSCNN_HALVES_AVX512 bool avx512_to_halves(const float *floats, std::uint16_t *halves, std::size_t blocks,
                                           bool stream) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i largest = _mm512_setzero_si512();
    for (; blocks > 0; --blocks, floats += HalfBlocks::size, halves += HalfBlocks::size) {
        const __m512 given = _mm512_loadu_ps(floats);
        largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(given), magnitude));
        const __m256i result = _mm512_cvtps_ph(given, _MM_FROUND_TO_NEAREST_INT);
        if (stream)
            _mm256_stream_si256(reinterpret_cast<__m256i *>(halves), result);
        else
            _mm256_storeu_si256(reinterpret_cast<__m256i *>(halves), result);
    }
    if (stream) _mm_sfence();
    const __m512i last = _mm512_set1_epi32(static_cast<int>(overflow_threshold) - 1);
    return _mm512_cmpgt_epi32_mask(largest, last) != 0;
}

MPSCNN_HALVES_AVX512 void avx512_to_floats(const std::uint16_t *halves, float *floats, std::size_t blocks,
                                           bool stream) {
    for (; blocks > 0; --blocks, floats += HalfBlocks::size, halves += HalfBlocks::size) {
        const __m512 result = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(halves)));
        if (stream)
            _mm512_stream_ps(floats, result);
        else
            _mm512_storeu_ps(floats, result);
    }
    if (stream) _mm_sfence();
}

struct Available {
    std::array<HalfBlocks, 3> variants{};
    std::size_t count = 0;

    Available() {
        if (has_avx512()) variants[count++] = {"avx512", avx512_to_halves, avx512_to_floats};
        if (has_avx2()) variants[count++] = {"f16c", f16c_to_halves, f16c_to_floats};
        variants[count++] = portable;
    }
};

#else

// NEON needs no streaming stores: its processors recognise writes of whole cache lines and do not read these
// lines first.

bool neon_to_halves(const float *floats, std::uint16_t *halves, std::size_t blocks, bool) {
    const uint32x4_t magnitude = vdupq_n_u32(0x7fffffff);
    uint32x4_t largest = vdupq_n_u32(0);
    for (std::size_t i = 0; i < blocks * HalfBlocks::size; i += 8) {
        const float32x4_t low = vld1q_f32(floats + i), high = vld1q_f32(floats + i + 4);
        largest = vmaxq_u32(largest, vandq_u32(vreinterpretq_u32_f32(low), magnitude));
        largest = vmaxq_u32(largest, vandq_u32(vreinterpretq_u32_f32(high), magnitude));
        const float16x8_t both = vcombine_f16(vcvt_f16_f32(low), vcvt_f16_f32(high));
        vst1q_u16(halves + i, vreinterpretq_u16_f16(both));
    }
    return vmaxvq_u32(largest) >= overflow_threshold;
}

void neon_to_floats(const std::uint16_t *halves, float *floats, std::size_t blocks, bool) {
    for (std::size_t i = 0; i < blocks * HalfBlocks::size; i += 8) {
        const float16x8_t both = vreinterpretq_f16_u16(vld1q_u16(halves + i));
        vst1q_f32(floats + i, vcvt_f32_f16(vget_low_f16(both)));
        vst1q_f32(floats + i + 4, vcvt_f32_f16(vget_high_f16(both)));
    }
}

struct Available {
    std::array<HalfBlocks, 2> variants{{{"neon", neon_to_halves, neon_to_floats}, portable}};
    std::size_t count = variants.size();
};

#endif

} // namespace

std::span<const HalfBlocks> half_blocks() {
    static const Available available;
    return {available.variants.data(), available.count};
}

} // namespace mpscnn
