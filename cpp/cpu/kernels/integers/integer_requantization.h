#pragma once

// Requantizes the 16 sums of a panel of outputs to bytes. The results have the same bits as from
// tasks/fixed_point.h.
//
// A sum x is multiplied by m to a 64-bit product p and shifted right by 31 + e bits. Both roundings, ((p +
// 2^30) >> 31) + 2^(e - 1) >> e, are one shift: (p + 2^30 + 2^(30 + e)) >> (31 + e). That rounds ties up. To
// round ties away from zero, 2^31 is subtracted from negative products. This is not needed if all negative
// sums become the zero point.

#include <type_traits>
#include <utility>

#include "cpu/kernels/integers/integer_bytes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace mpscnn::cpu {
namespace {

/// Call action(i) for i from 0 to count - 1, with i as a constant. Loops over registers would be unrolled too
/// late for some compilers, which would then keep the registers in memory.
template <int count, class Action> MPSCNN_INLINE void for_constants(Action action) {
    [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
        (action(std::integral_constant<int, i>()), ...);
    }
    (std::make_integer_sequence<int, count>());
}

/// Requantize `count` outputs from `first` on, one by one. `sums`, and the multipliers and shifts of `to`,
/// are arrays for a whole panel.
MPSCNN_INLINE void requantize_each(const Requantization &to, const std::int32_t *sums, std::int64_t first,
                                   std::int64_t count, std::uint8_t *result) {
    const std::int32_t *m = to.multipliers + first, *shift = to.shifts + first;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int32_t rounded =
            to.once ? rounded_once(sums[i], m[i], shift[i]) : rounded_twice(sums[i], m[i], shift[i]);
        result[i] = static_cast<std::uint8_t>(
            limited(static_cast<std::int64_t>(rounded) + to.zero_point, to.low, to.high));
    }
}

#if defined(__AVX512BW__)
/// Requantizes a panel's sums with AVX-512. Products of the even and the odd lanes are in separate registers,
/// because they have 64 bits.
class PanelRequantizer {
public:
    MPSCNN_INLINE PanelRequantizer(const Requantization &to, std::int64_t first)
        : zero_point_(_mm512_set1_epi32(to.zero_point)), low_(_mm512_set1_epi32(to.low - to.zero_point)),
          high_(_mm512_set1_epi32(to.high - to.zero_point)), has_ties_(!to.once && to.low < to.zero_point) {
        const __m512i zero = _mm512_setzero_si512(), shift = _mm512_loadu_si512(to.shifts + first);
        left_ = to.once ? zero : _mm512_max_epi32(shift, zero);
        const __m512i right =
            to.once ? _mm512_sub_epi32(zero, shift) : _mm512_max_epi32(_mm512_sub_epi32(zero, shift), zero);
        const __m512i m = _mm512_loadu_si512(to.multipliers + first);
        even_ = half(m, right, to.once);
        odd_ = half(_mm512_srli_epi64(m, 32), _mm512_srli_epi64(right, 32), to.once);
    }

    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t count, std::uint8_t *result) const {
        const __m512i x = _mm512_sllv_epi32(_mm512_loadu_si512(sums), left_);
        const __m512i even = rounded(x, even_), odd = rounded(_mm512_srli_epi64(x, 32), odd_);
        const __m512i both = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
        const __m512i kept = _mm512_min_epi32(_mm512_max_epi32(both, low_), high_);
        const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_add_epi32(kept, zero_point_));
        if (count >= 16)
            _mm_storeu_si128(reinterpret_cast<__m128i *>(result), bytes);
        else
            _mm_mask_storeu_epi8(result, static_cast<__mmask16>((1 << count) - 1), bytes);
    }

private:
    struct Half {
        __m512i m, bits, above, below; ///< `above` is added to products >= 0, `below` to negative ones
    };

    static MPSCNN_INLINE Half half(__m512i m, __m512i right, bool once) {
        const __m512i one = _mm512_set1_epi64(1), first = _mm512_set1_epi64(std::int64_t{1} << 30);
        // Sign-extend the lower words.
        const __m512i wide = _mm512_srai_epi64(_mm512_slli_epi64(right, 32), 32);
        const __m512i bits = _mm512_add_epi64(wide, _mm512_set1_epi64(31));
        const __m512i second = _mm512_sllv_epi64(one, _mm512_sub_epi64(bits, one));
        if (once) return {m, bits, second, second};
        const __mmask8 shifted = _mm512_test_epi64_mask(wide, wide);
        const __m512i above = _mm512_mask_add_epi64(first, shifted, first, second);
        return {m, bits, above,
                _mm512_mask_sub_epi64(above, shifted, above, _mm512_set1_epi64(std::int64_t{1} << 31))};
    }

    MPSCNN_INLINE __m512i rounded(__m512i x, const Half &half) const {
        const __m512i product = _mm512_mul_epi32(x, half.m);
        __m512i added = half.above;
        if (has_ties_) { // t has the sign of the product after the first rounding
            const __m512i t = _mm512_add_epi64(product, _mm512_set1_epi64(std::int64_t{1} << 30));
            added = _mm512_mask_blend_epi64(_mm512_movepi64_mask(t), half.above, half.below);
        }
        return _mm512_srav_epi64(_mm512_add_epi64(product, added), half.bits);
    }

    __m512i left_, zero_point_, low_, high_; ///< limits minus the zero point
    Half even_, odd_;
    bool has_ties_;
};
#elif defined(__AVX2__)
/// Compute rounded_twice() of tasks/fixed_point.h for 8 lanes.
MPSCNN_INLINE __m256i rounded_twice(__m256i x, __m256i m, __m256i shift) {
    const __m256i zero = _mm256_setzero_si256(), half = _mm256_set1_epi64x(std::int64_t{1} << 30);
    const __m256i larger = _mm256_sllv_epi32(x, _mm256_max_epi32(shift, zero)),
                  right = _mm256_max_epi32(_mm256_sub_epi32(zero, shift), zero);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(larger, m), half),
                  odd = _mm256_add_epi64(
                      _mm256_mul_epi32(_mm256_srli_epi64(larger, 32), _mm256_srli_epi64(m, 32)), half);
    const __m256i product = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_slli_epi64(odd, 1), 0xaa);
    const __m256i one = _mm256_set1_epi32(1), mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one),
                  rest = _mm256_and_si256(product, mask),
                  threshold = _mm256_add_epi32(_mm256_srli_epi32(mask, 1), _mm256_srli_epi32(product, 31));
    return _mm256_sub_epi32(_mm256_srav_epi32(product, right), _mm256_cmpgt_epi32(rest, threshold));
}

MPSCNN_INLINE __m256i load(const std::int32_t *from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
}
MPSCNN_INLINE __m256i load_halves(const std::int32_t *lower, const std::int32_t *upper) {
    return _mm256_loadu2_m128i(reinterpret_cast<const __m128i *>(upper),
                               reinterpret_cast<const __m128i *>(lower));
}

/// Computes bounds of the results of 8 sums with float32 arithmetic, for shifts of 1 to 31 bits to the right.
/// The result is floor(x * scale + offset), clamped. The offset includes the zero point and the constants of
/// both roundings. For results within the limits the error is below 2^-13: the rounded sum and scale add at
/// most 512 * 2^-24 each, and the offset, the FMA and the last addition at most 256 * 2^-24 each. So results
/// are computed twice, with the offset lowered and raised by this error. If both results are equal, they are
/// exact. Otherwise, in a few of a thousand panels, the panel is computed in integers.
class RightShifts {
public:
    /// Set the constants of four outputs from `lower` on, and of four from `upper` on. Return false if their
    /// shifts are not supported.
    MPSCNN_INLINE bool set(const Requantization &to, std::int64_t lower, std::int64_t upper) {
        const __m256i zero = _mm256_setzero_si256(), one = _mm256_set1_epi32(1),
                      m = load_halves(to.multipliers + lower, to.multipliers + upper),
                      shift = load_halves(to.shifts + lower, to.shifts + upper);
        // A product by a multiplier of zero is zero with any shift, so use a valid one.
        const __m256i right =
            _mm256_blendv_epi8(_mm256_sub_epi32(zero, shift), one, _mm256_cmpeq_epi32(m, zero));
        // Compute 2^-right by setting its exponent bits.
        const __m256 unit =
            _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_sub_epi32(_mm256_set1_epi32(127), right), 23));
        scale_ = _mm256_mul_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(m), _mm256_set1_ps(0x1p-31f)), unit);
        const __m256 base = _mm256_set1_ps(static_cast<float>(to.zero_point) + 0.5f - max_error),
                     half = _mm256_mul_ps(unit, _mm256_set1_ps(0.5f));
        offset_ = to.once ? base : _mm256_add_ps(base, half);
        below_ = to.once ? base : _mm256_sub_ps(base, half);
        above_ = _mm256_add_ps(offset_, _mm256_set1_ps(2.0f * max_error));
        const __m256i others =
            _mm256_or_si256(_mm256_cmpgt_epi32(one, right), _mm256_cmpgt_epi32(right, _mm256_set1_epi32(31)));
        return _mm256_testz_si256(others, others);
    }

    /// Bounds of the results before they are rounded down.
    struct Bounds {
        __m256 lower, upper;
    };
    /// With `has_ties`, negative sums have another offset, which is lower by one unit of the second rounding.
    template <bool has_ties> MPSCNN_INLINE Bounds bounds(__m256i x) const {
        const __m256 sum = _mm256_cvtepi32_ps(x);
        if constexpr (has_ties) {
            const __m256 lower =
                _mm256_fmadd_ps(sum, scale_, _mm256_blendv_ps(offset_, below_, _mm256_castsi256_ps(x)));
            return {lower, _mm256_add_ps(lower, _mm256_set1_ps(2.0f * max_error))};
        } else {
            return {_mm256_fmadd_ps(sum, scale_, offset_), _mm256_fmadd_ps(sum, scale_, above_)};
        }
    }

private:
    static constexpr float max_error = 0x1p-13f;

    /// The offset for negative sums is `below_`, and that of upper bounds `above_`.
    __m256 scale_, offset_, below_, above_;
};

/// Computes the results of 8 sums from Requantization::factors, before they are clamped. A double whose upper
/// word is that of 2^52, and whose lower word is a sum, is 2^52 plus the sum. One FMA multiplies it and adds
/// a number that is so large that the lower word of the rounded double is the result.
class Factors {
public:
    /// Set the constants of four outputs from `lower` on, and of four from `upper` on.
    MPSCNN_INLINE void set(const double *factors, std::int64_t lower, std::int64_t upper) {
        const double *const a = place(factors, lower), *const b = place(factors, upper);
        interleave(a, b, factors_), interleave(a + panel, b + panel, added_);
    }
    MPSCNN_INLINE __m256i rounded(__m256i sums) const {
        const __m256i word = _mm256_set1_epi32(0x43300000);
        const __m256d low = _mm256_castsi256_pd(_mm256_unpacklo_epi32(sums, word)),
                      high = _mm256_castsi256_pd(_mm256_unpackhi_epi32(sums, word));
        return _mm256_castps_si256(
            _mm256_shuffle_ps(_mm256_castpd_ps(_mm256_fmadd_pd(low, factors_[0], added_[0])),
                              _mm256_castpd_ps(_mm256_fmadd_pd(high, factors_[1], added_[1])), 0x88));
    }

private:
    static constexpr std::int64_t panel = IntegerWeights::panel;

    static MPSCNN_INLINE const double *place(const double *factors, std::int64_t output) {
        return factors + output / panel * 2 * panel + output % panel / 2;
    }
    static MPSCNN_INLINE void interleave(const double *a, const double *b, __m256d *to) {
        const __m256d even = _mm256_loadu2_m128d(b, a),
                      odd = _mm256_loadu2_m128d(b + panel / 2, a + panel / 2);
        to[0] = _mm256_unpacklo_pd(even, odd), to[1] = _mm256_unpackhi_pd(even, odd);
    }

    __m256d factors_[2], added_[2]; ///< lanes 0, 1, 4, 5 and lanes 2, 3, 6, 7
};

/// The arithmetic for some outputs: by Factors; by bounds, if results can be below the zero point; and by
/// bounds, if they cannot.
enum class Rounding { factors, with_ties, without_ties };

/// Requantizes `panels` panels of outputs, whose sums are in two or four registers: outputs 0-7 and 8-15 of
/// one panel, or outputs 0-3 and 16-19, 4-7 and 20-23, and so on of two.
template <int panels> class RegisterRequantizer {
public:
    static constexpr int registers = 2 * panels;

    MPSCNN_INLINE RegisterRequantizer(const Requantization &to, std::int64_t first)
        : rounding_(to.factors ? Rounding::factors
                               : (!to.once && to.low < to.zero_point ? Rounding::with_ties
                                                                     : Rounding::without_ties)),
          low_(_mm256_set1_epi8(static_cast<char>(to.low))),
          high_(_mm256_set1_epi8(static_cast<char>(to.high))) {
        constexpr int step = panels == 1 ? 8 : 4, distance = panels == 1 ? 4 : 16;
        for (int i = 0; i < registers; ++i) {
            const std::int64_t lower = first + i * step, upper = lower + distance;
            if (to.factors)
                factors_[i].set(to.factors, lower, upper);
            else
                fits_ &= shifts_[i].set(to, lower, upper);
        }
    }

    /// Return false if shifts are not supported.
    MPSCNN_INLINE bool fits() const { return fits_; }
    /// Call action(std::integral_constant<Rounding>()) with the arithmetic of these outputs.
    template <class Action> MPSCNN_INLINE void visit(Action action) const {
        if (rounding_ == Rounding::factors)
            action(std::integral_constant<Rounding, Rounding::factors>());
        else if (rounding_ == Rounding::with_ties)
            action(std::integral_constant<Rounding, Rounding::with_ties>());
        else
            action(std::integral_constant<Rounding, Rounding::without_ties>());
    }

    /// Requantize the sums of several pixels. sums(p, i) returns register i of pixel p. Two registers of each
    /// pixel become one of words. Call store(p, bytes) for each two of them, in the order of packing: pixels
    /// p and p + 1 of one panel (a last single pixel twice), or pixel p of two panels. Return false if a
    /// result may be wrong.
    template <Rounding rounding, int pixels, class Sums, class Store>
    MPSCNN_INLINE bool requantize(Sums sums, Store store) const {
        constexpr int count = pixels * panels;
        __m256i differences = _mm256_setzero_si256(), own[pixels][registers];
        if constexpr (rounding == Rounding::factors)
            // All pixels use a register's constants before those of the next one are loaded.
            for_constants<registers>([&](auto i) __attribute__((always_inline)) {
                const Factors factors = factors_[i];
                for_constants<pixels>([&](auto p) __attribute__((always_inline)) {
                    own[p][i] = factors.rounded(sums(p, i));
                    asm volatile("" : "+x"(own[p][i]));
                });
            });
        for_constants<(count + 1) / 2>([&](auto two) __attribute__((always_inline)) {
            constexpr int a = 2 * two, b = a + 1 < count ? a + 1 : a, p = a / panels, q = b / panels,
                          i = a % panels * 2, j = b % panels * 2;
            if constexpr (rounding == Rounding::factors) {
                store(std::integral_constant<int, p>(),
                      limited(_mm256_packus_epi16(_mm256_packs_epi32(own[p][i], own[p][i + 1]),
                                                  _mm256_packs_epi32(own[q][j], own[q][j + 1]))));
            } else {
                const Words one = words<rounding, i>(sums(p, i), sums(p, i + 1)),
                            other = words<rounding, j>(sums(q, j), sums(q, j + 1));
                const __m256i lower = _mm256_packus_epi16(one.lower, other.lower);
                differences = _mm256_or_si256(
                    differences, _mm256_xor_si256(lower, _mm256_packus_epi16(one.upper, other.upper)));
                store(std::integral_constant<int, p>(), limited(lower));
            }
        });
        return rounding == Rounding::factors || _mm256_testz_si256(differences, differences);
    }

private:
    /// Bounds of results, as 16-bit integers in mixed order.
    struct Words {
        __m256i lower, upper;
    };
    template <Rounding rounding, int i> MPSCNN_INLINE Words words(__m256i low, __m256i high) const {
        constexpr bool has_ties = rounding == Rounding::with_ties;
        const auto a = shifts_[i].template bounds<has_ties>(low),
                   b = shifts_[i + 1].template bounds<has_ties>(high);
        return {_mm256_packs_epi32(_mm256_cvttps_epi32(a.lower), _mm256_cvttps_epi32(b.lower)),
                _mm256_packs_epi32(_mm256_cvttps_epi32(a.upper), _mm256_cvttps_epi32(b.upper))};
    }
    MPSCNN_INLINE __m256i limited(__m256i bytes) const {
        return _mm256_min_epu8(_mm256_max_epu8(bytes, low_), high_);
    }

    Rounding rounding_;
    bool fits_ = true;
    __m256i low_, high_;
    union { // depends on rounding_
        RightShifts shifts_[registers];
        Factors factors_[registers];
    };
};

/// Store the first `count` bytes of a register.
MPSCNN_INLINE void store_bytes(__m128i bytes, std::int64_t count, std::uint8_t *result) {
    if (count >= 16) return _mm_storeu_si128(reinterpret_cast<__m128i *>(result), bytes);
    std::uint64_t left = static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes));
    const auto store = [&](auto own) __attribute__((always_inline)) {
        __builtin_memcpy(result, &own, sizeof own);
        result += sizeof own;
    };
    if (count & 8) store(left), left = static_cast<std::uint64_t>(_mm_extract_epi64(bytes, 1));
    if (count & 4) store(static_cast<std::uint32_t>(left)), left >>= 32;
    if (count & 2) store(static_cast<std::uint16_t>(left)), left >>= 16;
    if (count & 1) *result = static_cast<std::uint8_t>(left);
}

/// Requantizes a panel's sums with AVX2.
class PanelRequantizer {
public:
    MPSCNN_INLINE PanelRequantizer(const Requantization &to, std::int64_t first)
        : own_(to, first), to_(to), first_(first) {}

    /// Return the arithmetic in registers, without that for sums that it does not support.
    MPSCNN_INLINE const RegisterRequantizer<1> &registers() const { return own_; }

    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t count, std::uint8_t *result) const {
        const auto result_of = [&](int) __attribute__((always_inline)) { return result; };
        own_.visit([&](auto rounding) __attribute__((always_inline)) {
            store_sums<rounding.value, 1>(sums, count, result_of);
        });
    }
    /// Store the results of several pixels.
    template <int pixels>
    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t count,
                             std::uint8_t *const *results) const {
        const auto result_of = [&](int p) __attribute__((always_inline)) { return results[p]; };
        own_.visit([&](auto rounding) __attribute__((always_inline)) {
            store_sums<rounding.value, pixels>(sums, count, result_of);
        });
    }
    /// Store `count` results of each pixel from registers. Results of pixels are `pitch` bytes apart.
    template <Rounding rounding, int pixels>
    MPSCNN_INLINE void store_registers(const __m256i (&sums)[pixels][2], std::int64_t count,
                                       std::uint8_t *result, std::ptrdiff_t pitch) const {
        const auto sums_of = [&](int p, int i) __attribute__((always_inline)) { return sums[p][i]; };
        const auto result_of = [&](int p) __attribute__((always_inline)) { return result + p * pitch; };
        if (store_exact<rounding, pixels>(sums_of, count, result_of)) [[likely]]
            return;
        alignas(32) std::int32_t stored[pixels][16];
        for_constants<2 * pixels>([&](auto i) __attribute__((always_inline)) {
            _mm256_store_si256(reinterpret_cast<__m256i *>(stored[i / 2] + 8 * (i % 2)), sums[i / 2][i % 2]);
        });
        for (int p = 0; p < pixels; ++p) store_any(stored[p], count, result_of(p));
    }

private:
    template <Rounding rounding, int pixels, class Results>
    MPSCNN_INLINE void store_sums(const std::int32_t *sums, std::int64_t count, Results results) const {
        const auto sums_of = [&](int p, int i) __attribute__((always_inline)) {
            return load(sums + 16 * p + 8 * i);
        };
        if (!store_exact<rounding, pixels>(sums_of, count, results))
            for (int p = 0; p < pixels; ++p) store_any(sums + 16 * p, count, results(p));
    }
    /// Store the results of pixels. Return false if some may be wrong.
    template <Rounding rounding, int pixels, class Sums, class Results>
    MPSCNN_INLINE bool store_exact(Sums sums, std::int64_t count, Results results) const {
        if (rounding != Rounding::factors && !own_.fits()) return false;
        return own_.template requantize<rounding, pixels>(
            sums, [&](auto p, __m256i bytes) __attribute__((always_inline)) {
                const __m128i lower = _mm256_castsi256_si128(bytes),
                              upper = _mm256_extracti128_si256(bytes, 1);
                store_bytes(_mm_unpacklo_epi32(lower, upper), count, results(p));
                if constexpr (p + 1 < pixels)
                    store_bytes(_mm_unpackhi_epi32(lower, upper), count, results(p + 1));
            });
    }
    __attribute__((noinline)) void store_any(const std::int32_t *sums, std::int64_t count,
                                             std::uint8_t *result) const {
        if (to_.once) return requantize_each(to_, sums, first_, count, result);
        const __m256i words = _mm256_packs_epi32(part(sums, 0), part(sums, 8)),
                      bytes = _mm256_packus_epi16(words, words);
        store_bytes(_mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1)),
                    count, result);
    }
    MPSCNN_INLINE __m256i part(const std::int32_t *sums, std::int64_t at) const {
        const __m256i rounded = rounded_twice(load(sums + at), load(to_.multipliers + first_ + at),
                                              load(to_.shifts + first_ + at));
        const __m256i low = _mm256_set1_epi32(to_.low - to_.zero_point),
                      high = _mm256_set1_epi32(to_.high - to_.zero_point);
        return _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(rounded, low), high),
                                _mm256_set1_epi32(to_.zero_point));
    }

    RegisterRequantizer<1> own_;
    const Requantization &to_;
    std::int64_t first_;
};
#elif defined(__ARM_NEON)
/// Requantizes a panel's sums on arm64. VQRDMULH does the first rounding and VRSHL the second. VRSHL rounds
/// ties up, so 1 is subtracted from negative numbers before it.
class PanelRequantizer {
public:
    MPSCNN_INLINE PanelRequantizer(const Requantization &to, std::int64_t first) : to_(to), first_(first) {}

    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t count, std::uint8_t *result) const {
        int32x4_t words[4];
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const int32x4_t x = vld1q_s32(sums + 4 * i), m = vld1q_s32(to_.multipliers + first_ + 4 * i),
                            shift = vld1q_s32(to_.shifts + first_ + 4 * i);
            const int32x4_t limited = vminq_s32(vmaxq_s32(to_.once ? once(x, m, shift) : twice(x, m, shift),
                                                          vdupq_n_s32(to_.low - to_.zero_point)),
                                                vdupq_n_s32(to_.high - to_.zero_point));
            words[i] = vaddq_s32(limited, vdupq_n_s32(to_.zero_point));
        }
        const int16x8_t low = vcombine_s16(vmovn_s32(words[0]), vmovn_s32(words[1])),
                        high = vcombine_s16(vmovn_s32(words[2]), vmovn_s32(words[3]));
        const uint8x16_t bytes = vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
        if (count >= 16) return vst1q_u8(result, bytes);
        std::uint8_t each[16];
        vst1q_u8(each, bytes);
        for (std::int64_t i = 0; i < count; ++i) result[i] = each[i];
    }

private:
    static MPSCNN_INLINE int32x4_t twice(int32x4_t x, int32x4_t m, int32x4_t shift) {
        const int32x4_t zero = vdupq_n_s32(0), right = vminq_s32(shift, zero);
        const int32x4_t product = vqrdmulhq_s32(vshlq_s32(x, vmaxq_s32(shift, zero)), m);
        const int32x4_t less = vshrq_n_s32(vandq_s32(product, right), 31);
        return vrshlq_s32(vqaddq_s32(product, less), right);
    }
    static MPSCNN_INLINE int32x4_t once(int32x4_t x, int32x4_t m, int32x4_t shift) {
        const int32x4_t bits = vsubq_s32(shift, vdupq_n_s32(31));
        const int64x2_t low = vrshlq_s64(vmull_s32(vget_low_s32(x), vget_low_s32(m)),
                                         vmovl_s32(vget_low_s32(bits))),
                        high = vrshlq_s64(vmull_high_s32(x, m), vmovl_high_s32(bits));
        return vcombine_s32(vmovn_s64(low), vmovn_s64(high));
    }

    const Requantization &to_;
    std::int64_t first_;
};
#else
class PanelRequantizer {
public:
    MPSCNN_INLINE PanelRequantizer(const Requantization &to, std::int64_t first) : to_(to), first_(first) {}
    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t count, std::uint8_t *result) const {
        requantize_each(to_, sums, first_, count, result);
    }

private:
    const Requantization &to_;
    std::int64_t first_;
};
#endif

/// Store the results of several pixels. Each has a panel of sums, of which `count` are outputs.
template <int pixels>
MPSCNN_INLINE void store_pixels(const PanelRequantizer &requantizer, const std::int32_t *sums,
                                std::int64_t count, std::uint8_t *const *results) {
#if defined(__AVX2__) && !defined(__AVX512BW__)
    requantizer.store<pixels>(sums, count, results);
#else
    for (int p = 0; p < pixels; ++p) requantizer.store(sums + 16 * p, count, results[p]);
#endif
}

} // namespace
} // namespace mpscnn::cpu
