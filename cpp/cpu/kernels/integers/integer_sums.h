#pragma once

// Adds rows of bytes with AVX2, 32 elements at a time, by bounds of the results.
//
// A result is near a * f + b * g + c, where the factors f and g and the constant c are real numbers. Before
// the last rounding, TensorFlow Lite's arithmetic differs from it by less than 2.5 units of its sums: each
// term by at most 0.75, and the product by at most one. The bounds are fixed-point numbers that include this
// difference and their own errors. If no border between two results is between the bounds of a sum, the
// rounded result is exact. Otherwise, in one of thousands of vectors, the sums are computed as defined.

#include "cpu/kernels/integers/integer_elementwise.h"

#if defined(__AVX2__) && !defined(__AVX512BW__)
#define MPSCNN_ADDS_BY_BOUNDS
#include <immintrin.h>

namespace mpscnn::cpu {
namespace {

class SumBounds {
public:
    static constexpr std::int64_t width = 32; ///< elements that are added at a time

    explicit SumBounds(const IntegerSumTask &task)
        : low_(_mm256_set1_epi8(static_cast<char>(task.requantization.low))),
          high_(_mm256_set1_epi8(static_cast<char>(task.requantization.high))) {
        const Requantization &to = task.requantization;
        const IntegerTerms &a = task.source_terms, &b = task.second_terms;
        if (to.multipliers[0] < 1 << 30 || to.shifts[0] > 0 || a.shift > 0 || b.shift > 0) return;
        const double unit = factor_of(to.multipliers[0], to.shifts[0]),
                     own = 0x1p20 * factor_of(a.multiplier, a.shift) * unit,
                     other = (task.subtracts ? -0x1p20 : 0x1p20) * factor_of(b.multiplier, b.shift) * unit,
                     sum = own + (other < 0 ? -other : other);
        // The bounds have as many bits after the binary point as fit 32 bits. Factors have 7 more, and fit 30
        // bits.
        int bits = 21;
        while (bits > 0 && (255.0 * sum + 512.0) * power(bits) >= 0x1p31) --bits;
        // The errors of the factors, of the lower product, which is rounded down, and of the constant are at
        // most one unit each.
        const double error = 2.5 * unit * power(bits) + 4.0;
        if (bits < 14 || 2.0 * error + 2.0 > 0.25 * power(bits)) return;
        fits_ = true;
        bits_ = _mm_cvtsi32_si128(bits);
        fraction_ = _mm256_set1_epi32((1 << bits) - 1);
        const auto distance = static_cast<std::int32_t>(error) + 1;
        between_ = _mm256_set1_epi32(2 * distance);
        const std::int64_t f = rounded(own * power(bits + 7)), g = rounded(other * power(bits + 7));
        upper_ = _mm256_set1_epi32(pair(f >> 15, g >> 15));
        lower_ = _mm256_set1_epi32(pair(f & 0x7fff, g & 0x7fff));
        // Elements are multiplied minus 128.
        const double constant = to.zero_point + 0.5 + own * (128 - a.zero) + other * (128 - b.zero);
        constant_ = _mm256_set1_epi32(static_cast<std::int32_t>(rounded(constant * power(bits))) + distance);
    }

    /// Return false if the factors are not supported.
    bool fits() const { return fits_; }

    /// Store the sums of 32 elements. If some may be wrong, store nothing and return false.
    MPSCNN_INLINE bool store(const std::uint8_t *a, const std::uint8_t *b, std::uint8_t *result) const {
        const __m256i sign = _mm256_set1_epi8(-128), x = _mm256_xor_si256(load(a), sign),
                      y = _mm256_xor_si256(load(b), sign), low = _mm256_unpacklo_epi8(x, y),
                      high = _mm256_unpackhi_epi8(x, y), zero = _mm256_setzero_si256();
        // Each pair of 16-bit integers has an element of a and one of b, multiplied by 256.
        const __m256i s = bound(_mm256_unpacklo_epi8(zero, low)), t = bound(_mm256_unpackhi_epi8(zero, low)),
                      u = bound(_mm256_unpacklo_epi8(zero, high)),
                      v = bound(_mm256_unpackhi_epi8(zero, high));
        const __m256i least = _mm256_min_epu32(_mm256_min_epu32(fraction(s), fraction(t)),
                                               _mm256_min_epu32(fraction(u), fraction(v)));
        if (_mm256_movemask_epi8(_mm256_cmpgt_epi32(least, between_)) != -1) return false;
        const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(whole(s), whole(t)),
                                                  _mm256_packs_epi32(whole(u), whole(v)));
        _mm256_storeu_si256(reinterpret_cast<__m256i *>(result),
                            _mm256_min_epu8(_mm256_max_epu8(bytes, low_), high_));
        return true;
    }

private:
    static double power(int exponent) {
        return __builtin_bit_cast(double, static_cast<std::uint64_t>(exponent + 1023) << 52);
    }
    static double factor_of(std::int32_t multiplier, std::int32_t shift) {
        return multiplier * power(shift - 31);
    }
    static std::int64_t rounded(double x) { return static_cast<std::int64_t>(x < 0 ? x - 0.5 : x + 0.5); }
    static std::int32_t pair(std::int64_t first, std::int64_t second) {
        return static_cast<std::int32_t>((first & 0xffff) |
                                         static_cast<std::int64_t>(static_cast<std::uint64_t>(second) << 16));
    }
    static MPSCNN_INLINE __m256i load(const std::uint8_t *bytes) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(bytes));
    }
    /// Return the upper bounds of 8 sums.
    MPSCNN_INLINE __m256i bound(__m256i pairs) const {
        return _mm256_add_epi32(_mm256_add_epi32(_mm256_madd_epi16(pairs, upper_), constant_),
                                _mm256_srai_epi32(_mm256_madd_epi16(pairs, lower_), 15));
    }
    MPSCNN_INLINE __m256i fraction(__m256i bounds) const { return _mm256_and_si256(bounds, fraction_); }
    MPSCNN_INLINE __m256i whole(__m256i bounds) const { return _mm256_sra_epi32(bounds, bits_); }

    bool fits_ = false;
    __m128i bits_;
    __m256i low_, high_, upper_, lower_, constant_, fraction_, between_;
};

/// Add the elements of two rows. add_exactly(a, b, elements, result) adds those for which bounds do not
/// suffice.
template <class Add>
MPSCNN_INLINE void add_by_bounds(const SumBounds &bounds, const Add &add_exactly, const std::uint8_t *a,
                                 const std::uint8_t *b, std::int64_t elements, std::uint8_t *result) {
    constexpr std::int64_t part = SumBounds::width;
    for_each_part<part>(
        a, b, elements, result,
        [&](const std::uint8_t *x, const std::uint8_t *y, std::uint8_t *to) __attribute__((always_inline)) {
            if (!bounds.store(x, y, to)) [[unlikely]]
                add_exactly(x, y, part, to);
        });
}

} // namespace
} // namespace mpscnn::cpu
#endif
