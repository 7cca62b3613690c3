#pragma once

// Dot products of pairs of 16-bit integers, added to 32-bit sums. They are exact, because a byte minus a zero
// point has only 9 bits.
//
// S. Winograd (A new algorithm for inner product, 1968) computes two products as one product of sums: x * v +
// y * w = (x + w) * (y + v) - x * y - v * w. Here each letter is a pair. The terms x * y of a pixel are the
// same for all outputs, and the terms v * w of an output are the same for all pixels, so each is computed
// once. Sums have 10 bits, and 32-bit sums wrap around, so results are exact.

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
/// weight. add_two() adds the products of two pairs at once, for `pixels_of_sums` pixels; 0: there is none.
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
    static constexpr int pixels_of_sums = 0;
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
        return added(sum, _mm256_madd_epi16(weights, pair));
    }
    static MPSCNN_INLINE reg splat(std::int32_t value) { return _mm256_set1_epi32(value); }
    static MPSCNN_INLINE reg add_product(reg sum, const std::uint8_t *bytes, reg zero,
                                         const std::int16_t *weights) {
        const reg x = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i *>(bytes))),
                  w = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i *>(weights)));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_sub_epi32(x, zero), w));
    }
    static constexpr int pixels = 6, pixels_of_sums = 4;

    /// Add x * v + y * w + x * y + v * w, each of which has the two products of a pair, as (x + w) * (y + v).
    /// Processors of AMD multiply with two of their four units, but add with all of them.
    static MPSCNN_INLINE reg add_two(reg sum, reg v, reg w, reg x, reg y) {
        return added(sum, _mm256_madd_epi16(_mm256_add_epi16(x, w), _mm256_add_epi16(y, v)));
    }
    static MPSCNN_INLINE reg subtract(reg a, reg b) { return _mm256_sub_epi32(a, b); }

    /// Store the sum of x * y of all pairs of pairs of a row, for `pixels_of_sums` rows.
    static MPSCNN_INLINE void store_products(const std::int16_t *rows, std::ptrdiff_t pitch,
                                             std::int64_t pairs, std::int32_t *to) {
        reg sums[pixels_of_sums];
#pragma GCC unroll 4
        for (int p = 0; p < pixels_of_sums; ++p) sums[p] = products(rows + p * pitch, pairs / 2 * 2);
        const reg all =
            _mm256_hadd_epi32(_mm256_hadd_epi32(sums[0], sums[1]), _mm256_hadd_epi32(sums[2], sums[3]));
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to),
                         _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1)));
    }

private:
    /// Return sum + product in the register of the sum. GCC would otherwise copy it in each step.
    static MPSCNN_INLINE reg added(reg sum, reg product) {
        asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(product));
        return sum;
    }
    static MPSCNN_INLINE reg products(const std::int16_t *row, std::int64_t pairs) {
        // The second pair of each two is moved to the place of the first one, whose own place is set to zero.
        const reg second = _mm256_setr_epi8(4, 5, 6, 7, -1, -1, -1, -1, 12, 13, 14, 15, -1, -1, -1, -1, 4, 5,
                                            6, 7, -1, -1, -1, -1, 12, 13, 14, 15, -1, -1, -1, -1);
        const auto product = [&](reg x) __attribute__((always_inline)) {
            return _mm256_madd_epi16(x, _mm256_shuffle_epi8(x, second));
        };
        reg sum = _mm256_setzero_si256();
        std::int64_t k = 0;
        for (; k + 8 <= pairs; k += 8) sum = _mm256_add_epi32(sum, product(weights(row + 2 * k)));
        if (k == pairs) return sum;
        const reg places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7),
                  left = _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(pairs - k)), places);
        return _mm256_add_epi32(
            sum, product(_mm256_maskload_epi32(reinterpret_cast<const int *>(row + 2 * k), left)));
    }
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
    static constexpr int pixels_of_sums = 0;
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
    static constexpr int pixels_of_sums = 0;
};
#endif

/// Force the compiler to keep a sum in its register. Some compilers would first add the products of two
/// steps, which needs more registers than there are.
template <class Register> MPSCNN_INLINE void keep_sum([[maybe_unused]] Register &sum) {
#if defined(__AVX2__)
    keep_in_register(sum);
#endif
}

/// The sums of `pixels` pixels for one panel of outputs. Each pixel's inputs are a row of pairs, and rows are
/// `pitch` apart.
template <int pixels, class Sums> class PixelSums {
public:
    MPSCNN_INLINE PixelSums(const std::int16_t *rows, std::ptrdiff_t pitch, const std::int16_t *weights)
        : rows_(rows), pitch_(pitch), weights_(weights) {}

    /// Set all sums of an output to its number of `start`.
    MPSCNN_INLINE void set(const std::int32_t *start) {
        each([&](int p, int r)
                 __attribute__((always_inline)) { totals_[p][r] = Sums::load(start + r * lanes); });
    }
    /// Subtract a number of each pixel.
    MPSCNN_INLINE void subtract(const std::int32_t *products) {
        each([&](int p, int r) __attribute__((always_inline)) {
            totals_[p][r] = Sums::subtract(totals_[p][r], Sums::splat(products[p]));
        });
    }
    MPSCNN_INLINE void store(std::int32_t *to) const {
        each([&](int p, int r) __attribute__((always_inline)) {
            Sums::store(to + p * IntegerWeights::panel + r * lanes, totals_[p][r]);
        });
    }
    /// Add the products of pair k.
    MPSCNN_INLINE void add(std::int64_t k) {
        Pairs own[registers], pair;
        load(k, own);
        each([&](int p, int r) __attribute__((always_inline)) {
            if (r == 0) pair = input(p, k);
            totals_[p][r] = Sums::add(totals_[p][r], own[r], pair);
            keep_sum(totals_[p][r]);
        });
    }
    /// Add the products of the pairs k and k + 1, and those of store_products().
    MPSCNN_INLINE void add_two(std::int64_t k) {
        Pairs v[registers], w[registers], x, y;
        load(k, v), load(k + 1, w);
        each([&](int p, int r) __attribute__((always_inline)) {
            if (r == 0) x = input(p, k), y = input(p, k + 1);
            totals_[p][r] = Sums::add_two(totals_[p][r], v[r], w[r], x, y);
            keep_sum(totals_[p][r]);
        });
    }

private:
    static constexpr int registers = Sums::registers, lanes = IntegerWeights::panel / registers;
    using Pairs = decltype(Sums::weights(nullptr));

    template <class Action> static MPSCNN_INLINE void each(Action action) {
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 4
            for (int r = 0; r < registers; ++r) action(p, r);
    }
    MPSCNN_INLINE Pairs input(int p, std::int64_t k) const {
        return Sums::broadcast(rows_ + p * pitch_ + 2 * k);
    }
    MPSCNN_INLINE void load(std::int64_t k, Pairs *to) const {
#pragma GCC unroll 4
        for (int r = 0; r < registers; ++r)
            to[r] = Sums::weights(weights_ + 2 * (k * IntegerWeights::panel + lanes * r));
    }

    const std::int16_t *rows_;
    std::ptrdiff_t pitch_;
    const std::int16_t *weights_;
    typename Sums::reg totals_[pixels][registers];
};

/// Compute the sums of `pixels` pixels for one panel of outputs. `start` has a number for each output, to
/// which products are added. With `of_sums`, `products` has the results of store_products() for the rows. The
/// function is not inlined, so that no other variables occupy registers.
template <int pixels, bool of_sums, class Sums = PanelSums>
__attribute__((noinline)) void add_pairs(const std::int16_t *rows, std::ptrdiff_t pitch, std::int64_t pairs,
                                         const std::int16_t *weights, const std::int32_t *start,
                                         [[maybe_unused]] const std::int32_t *products, std::int32_t *sums) {
    PixelSums<pixels, Sums> own(rows, pitch, weights);
    own.set(start);
    std::int64_t k = 0;
    if constexpr (of_sums) {
        own.subtract(products);
        for (; k + 2 <= pairs; k += 2) own.add_two(k);
    } else {
        // Unroll by two, because otherwise the instructions of the loop itself would slow down processors
        // that execute six instructions per cycle.
        for (; k + 2 <= pairs; k += 2) own.add(k), own.add(k + 1);
    }
    if (k < pairs) own.add(k);
    own.store(sums);
}

} // namespace
} // namespace mpscnn::cpu
