#pragma once

// Converts bytes to the 16-bit integers that integer_pairs.h multiplies.

#include <cstdint>

#include "cpu/isa/kernel_math.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace mpscnn::cpu {
namespace {

/// The number of bytes that are converted to 16-bit integers at a time.
constexpr std::int64_t widened = 16;

/// Convert `count` bytes to 16-bit integers and subtract the zero point. Up to `widened` - 1 more bytes may
/// be read and more integers written, but no bytes from `end` on are read.
MPSCNN_INLINE void widen(const std::uint8_t *bytes, std::int64_t count, std::int16_t zero,
                         const std::uint8_t *end, std::int16_t *to) {
    std::int64_t k = 0;
    for (; k < count && end - bytes - k >= widened; k += widened) {
#if defined(__AVX2__) // some compilers do not vectorise the loop below
        const __m128i own = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes + k));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to + k),
                            _mm256_sub_epi16(_mm256_cvtepu8_epi16(own), _mm256_set1_epi16(zero)));
#else
        std::uint8_t own[widened]; // a local copy cannot alias with the result
        __builtin_memcpy(own, bytes + k, widened);
        for (std::int64_t i = 0; i < widened; ++i) to[k + i] = static_cast<std::int16_t>(own[i] - zero);
#endif
    }
    for (; k < count; ++k) to[k] = static_cast<std::int16_t>(bytes[k] - zero);
}

} // namespace
} // namespace mpscnn::cpu
