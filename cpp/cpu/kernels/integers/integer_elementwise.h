#pragma once

// Combines the elements of two rows of bytes into one row: 64 elements at a time with AVX-512, 16 with AVX2.

#include "cpu/kernels/integers/integer_tile_requantization.h"

#if defined(__AVX2__)
#define MPSCNN_COMBINES_BYTES

namespace mpscnn::cpu {
namespace {

/// Operations on registers of 32-bit integers, and the number of panels that are combined at a time.
struct Steps {
#if defined(__AVX512BW__)
    using reg = __m512i;
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm512_set1_epi32(value); }
    static MPSCNN_INLINE reg of_bytes(const std::uint8_t *bytes) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes)));
    }
    static MPSCNN_INLINE reg add(reg a, reg b) { return _mm512_add_epi32(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return _mm512_sub_epi32(a, b); }
    static MPSCNN_INLINE reg multiply(reg a, reg b) { return _mm512_mullo_epi32(a, b); }
    template <int bits> static MPSCNN_INLINE reg shift_left(reg a) { return _mm512_slli_epi32(a, bits); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) { _mm512_storeu_si512(to, value); }
    static constexpr std::int64_t panels = 4; ///< panels of 16 elements processed together
#else
    using reg = __m256i;
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm256_set1_epi32(value); }
    static MPSCNN_INLINE reg of_bytes(const std::uint8_t *bytes) {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes)));
    }
    static MPSCNN_INLINE reg add(reg a, reg b) { return _mm256_add_epi32(a, b); }
    static MPSCNN_INLINE reg sub(reg a, reg b) { return _mm256_sub_epi32(a, b); }
    static MPSCNN_INLINE reg multiply(reg a, reg b) { return _mm256_mullo_epi32(a, b); }
    template <int bits> static MPSCNN_INLINE reg shift_left(reg a) { return _mm256_slli_epi32(a, bits); }
    static MPSCNN_INLINE void store(std::int32_t *to, reg value) {
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), value);
    }
    static constexpr std::int64_t panels = 1;
#endif
    static constexpr std::int64_t width = sizeof(reg) / sizeof(std::int32_t);

    /// Convert bytes to 32-bit integers and subtract a zero point.
    static MPSCNN_INLINE reg of_bytes(const std::uint8_t *bytes, reg zero) {
        return sub(of_bytes(bytes), zero);
    }
};

/// Call visit(a, b, result) for each `part` elements of a row. The last call gets copies of what is left, and
/// its result is copied back.
template <std::int64_t part, class Visit>
MPSCNN_INLINE void for_each_part(const std::uint8_t *a, const std::uint8_t *b, std::int64_t elements,
                                 std::uint8_t *result, Visit visit) {
    std::int64_t done = 0;
    for (; done + part <= elements; done += part) visit(a + done, b + done, result + done);
    if (done == elements) return;
    std::uint8_t last[3][part] = {};
    const auto left = static_cast<std::size_t>(elements - done);
    __builtin_memcpy(last[0], a + done, left);
    __builtin_memcpy(last[1], b + done, left);
    visit(last[0], last[1], last[2]);
    __builtin_memcpy(result + done, last[2], left);
}

/// Requantize and store combine(a, b), which returns a register of sums, for all elements of a row.
template <class Combine>
MPSCNN_INLINE void combine_bytes(Combine combine, const TileRequantizer<1> &requantizer,
                                 const std::uint8_t *a, const std::uint8_t *b, std::int64_t elements,
                                 std::uint8_t *result) {
    constexpr std::int64_t panel = IntegerWeights::panel, part = Steps::panels * panel;
    alignas(64) std::int32_t sums[part];
    for_each_part<part>(
        a, b, elements, result,
        [&](const std::uint8_t *x, const std::uint8_t *y, std::uint8_t *to) __attribute__((always_inline)) {
#pragma GCC unroll 4
            for (std::int64_t c = 0; c < part; c += Steps::width)
                Steps::store(sums + c, combine(x + c, y + c));
            requantizer.store(sums, Steps::panels, to, panel);
        });
}

} // namespace
} // namespace mpscnn::cpu
#endif
