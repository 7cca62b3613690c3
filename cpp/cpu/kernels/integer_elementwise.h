#pragma once

// Two rows of bytes become one, 64 elements at a time.

#include "cpu/kernels/integer_tile_requantization.h"

namespace mpscnn::cpu {
namespace {

/// 16 of them, less a zero point.
MPSCNN_INLINE __m512i steps_of_bytes(const std::uint8_t *bytes, __m512i zero) {
    const __m128i own = _mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes));
    return _mm512_sub_epi32(_mm512_cvtepu8_epi32(own), zero);
}

/// combine(a, b) gives 16 sums, which become bytes.
template <class Combine>
MPSCNN_INLINE void combine_bytes(Combine combine, const TileRequantizer<1> &requantizer,
                                 const std::uint8_t *a, const std::uint8_t *b, std::int64_t elements,
                                 std::uint8_t *result) {
    constexpr std::int64_t panel = IntegerWeights::panel, part = 4 * panel;
    alignas(64) std::int32_t sums[part];
    const auto combine_part = [&](const std::uint8_t *x, const std::uint8_t *y, std::uint8_t *to)
        __attribute__((always_inline)) {
#pragma GCC unroll 4
        for (std::int64_t c = 0; c < part; c += panel) _mm512_store_si512(sums + c, combine(x + c, y + c));
        requantizer.store(sums, 4, to, panel);
    };
    std::int64_t done = 0;
    for (; done + part <= elements; done += part) combine_part(a + done, b + done, result + done);
    if (done == elements) return;
    alignas(64) std::uint8_t last[3][part];
    const __mmask64 left = ~std::uint64_t{0} >> (part - (elements - done));
    _mm512_store_si512(last[0], _mm512_maskz_loadu_epi8(left, a + done));
    _mm512_store_si512(last[1], _mm512_maskz_loadu_epi8(left, b + done));
    combine_part(last[0], last[1], last[2]);
    _mm512_mask_storeu_epi8(result + done, left, _mm512_load_si512(last[2]));
}

} // namespace
} // namespace mpscnn::cpu
