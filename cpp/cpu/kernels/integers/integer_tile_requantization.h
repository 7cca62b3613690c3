#pragma once

// Requantizes the sums of pixels x one or two panels to bytes with AVX-512, 64 bytes at a time. This requires
// Requantization::floats or factors, or that all shifts are 1 to 22 bits to the right. Other sums are
// requantized panel by panel.
//
// Both roundings are one shift of 64 bits, as in integer_requantization.h. The number that is added before
// the shift includes the zero point. Products of odd lanes are shifted by 32 bits less, so that their results
// are in the upper halves, where they belong. Packing saturates to bytes before the limits are applied, which
// makes no difference, because limits are bytes. The speed is limited by multiplications and shifts, some
// five cycles for 16 sums.

#include <type_traits>

#include "cpu/kernels/integers/integer_requantization.h"

namespace mpscnn::cpu {
namespace {

#if defined(__AVX512BW__)
/// The requantization constants of a panel whose shifts are all to the right.
class RightShifts {
public:
    MPSCNN_INLINE RightShifts() = default;

    /// Set the constants. Return true if all shifts are 1 to 22 bits to the right, so that nothing overflows.
    MPSCNN_INLINE bool set(const Requantization &to, std::int64_t first, std::int64_t count) {
        const auto used = static_cast<__mmask16>(count >= 16 ? 0xffff : (1 << count) - 1);
        return set(_mm512_maskz_loadu_epi32(used, to.multipliers + first),
                   _mm512_loadu_si512(to.shifts + first), to.zero_point, to.once);
    }
    MPSCNN_INLINE bool set(__m512i m, __m512i shift, std::int32_t zero_point, bool once) {
        const __m512i one = _mm512_set1_epi32(1);
        // A product by a multiplier of zero is zero with any shift, so use a valid one.
        const __m512i right =
            _mm512_mask_sub_epi32(one, _mm512_test_epi32_mask(m, m), _mm512_setzero_si512(), shift);
        even_ = half(m, right, zero_point, once, 0);
        odd_ = half(_mm512_srli_epi64(m, 32), _mm512_srli_epi64(right, 32), zero_point, once, 32);
        return !_mm512_cmpgt_epu32_mask(_mm512_sub_epi32(right, one), _mm512_set1_epi32(21));
    }

    /// Return the rounded results plus the zero point. With `has_ties`, `less` is subtracted from negative
    /// products: 2^31 to round ties away from zero, or 0. (For m >= 2^30, only the product -2^30 becomes zero
    /// in the first rounding. It becomes zero in the second one too, with or without 2^31.)
    template <bool has_ties> MPSCNN_INLINE __m512i rounded(__m512i x, __m512i less) const {
        const __m512i even = shifted<has_ties>(_mm512_mul_epi32(x, even_.m), even_, less),
                      odd = shifted<has_ties>(_mm512_mul_epi32(_mm512_srli_epi64(x, 32), odd_.m), odd_, less);
        return _mm512_mask_blend_epi32(0xaaaa, even, odd);
    }

private:
    struct Half {
        __m512i m, bits, added;
    };

    /// Return the constants for the even or odd lanes. The result stays shifted to the left by `kept` bits.
    static MPSCNN_INLINE Half half(__m512i m, __m512i right, std::int32_t zero_point, bool once, int kept) {
        const __m512i wide = _mm512_and_si512(right, _mm512_set1_epi64(0xffffffff)),
                      bits = _mm512_add_epi64(wide, _mm512_set1_epi64(31)), one = _mm512_set1_epi64(1);
        __m512i added = _mm512_sllv_epi64(one, _mm512_sub_epi64(bits, one));
        if (!once) added = _mm512_add_epi64(added, _mm512_set1_epi64(std::int64_t{1} << 30));
        added = _mm512_add_epi64(added, _mm512_sllv_epi64(_mm512_set1_epi64(zero_point), bits));
        return {m, _mm512_sub_epi64(bits, _mm512_set1_epi64(kept)), added};
    }

    template <bool has_ties>
    static MPSCNN_INLINE __m512i shifted(__m512i product, const Half &half, __m512i less) {
        __m512i sum = _mm512_add_epi64(product, half.added);
        if constexpr (has_ties) sum = _mm512_mask_sub_epi64(sum, _mm512_movepi64_mask(product), sum, less);
        return _mm512_srav_epi64(sum, half.bits);
    }

    Half even_, odd_;
};

/// The constants of a panel with Requantization::factors. A double whose upper word is that of 2^52, and
/// whose lower word is a sum, is 2^52 plus the sum. One FMA multiplies it and adds a number that is so large
/// that the lower word of the rounded double is the result.
class PanelFactors {
public:
    explicit MPSCNN_INLINE PanelFactors(const double *factors)
        : even_(_mm512_load_pd(factors)), odd_(_mm512_load_pd(factors + 8)),
          even_added_(_mm512_load_pd(factors + 16)), odd_added_(_mm512_load_pd(factors + 24)) {}

    MPSCNN_INLINE __m512i rounded(__m512i sums) const {
        const __m512i upper = _mm512_set1_epi32(0x43300000),
                      odd_sums = _mm512_mask_shuffle_epi32(upper, 0x5555, sums, _MM_PERM_DDBB);
        const __m512d even = _mm512_castsi512_pd(_mm512_mask_blend_epi32(0xaaaa, sums, upper)),
                      odd = _mm512_castsi512_pd(odd_sums);
        return _mm512_mask_shuffle_epi32(_mm512_castpd_si512(_mm512_fmadd_pd(even, even_, even_added_)),
                                         0xaaaa, _mm512_castpd_si512(_mm512_fmadd_pd(odd, odd_, odd_added_)),
                                         _MM_PERM_CCAA);
    }

private:
    __m512d even_, odd_, even_added_, odd_added_;
};

/// The constants of a panel with Requantization::floats. Sums have the bits of floats. One FMA multiplies
/// them and adds a number that is so large that the lower 16 bits of the rounded float are the result. With
/// `has_ties`, negative sums have other constants.
template <bool has_ties> class PanelFloats {
public:
    explicit MPSCNN_INLINE PanelFloats(const float *floats) {
        for (int i = 0; i < sets; ++i) set_[i] = _mm512_load_ps(floats + 16 * i);
    }

    MPSCNN_INLINE __m512i rounded(__m512i sums) const {
        __m512 added = set_[1];
        if constexpr (has_ties) {
            const __mmask16 below = _mm512_cmplt_epi32_mask(sums, _mm512_castps_si512(set_[4]));
            sums = _mm512_mask_add_epi32(sums, below, sums, _mm512_castps_si512(set_[3]));
            added = _mm512_mask_blend_ps(below, added, set_[2]);
        }
        return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_castsi512_ps(sums), set_[0], added));
    }

private:
    static constexpr int sets = has_ties ? 5 : 2;
    __m512 set_[sets];
};

/// Requantizes tiles of pixels x `panels` panels of outputs, for `count` outputs from `first` on. `first`
/// begins a panel.
template <int panels> class TileRequantizer {
public:
    static constexpr bool has_factors = true;

    MPSCNN_INLINE TileRequantizer(const Requantization &to, std::int64_t first, std::int64_t count)
        : to_(to), first_(first), count_(min(count, panels * panel)), has_ties_(to.has_ties()) {
        if (to.factors || to.floats) return;
        fits_ = own_[0].set(to, first, count_);
        if constexpr (panels == 2) fits_ &= own_[1].set(to, first + panel, count_ - panel);
    }

    /// Return true if store_registers() supports the sums; and if it needs the fewest instructions for them.
    MPSCNN_INLINE bool takes_registers() const { return to_.floats || to_.factors; }
    MPSCNN_INLINE bool takes_floats() const { return to_.floats && !has_ties_; }

    /// Store the results of pixels that are `pitch` bytes apart. Sums are [pixel][panel][16]. A multiple of
    /// 64 sums may be read.
    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t pixels, std::uint8_t *result,
                             std::ptrdiff_t pitch) const {
        const bool whole = count_ >= panels * panel;
        const auto store_rounded = [&](const auto &packing, const auto &rounded)
            __attribute__((always_inline)) {
            if (whole)
                store_all<true>(packing, rounded, sums, pixels, result, pitch);
            else
                store_all<false>(packing, rounded, sums, pixels, result, pitch);
        };
        const auto of_panels = [&](const auto &packing, const auto &own) __attribute__((always_inline)) {
            store_rounded(
                packing, [&](int i, __m512i x) __attribute__((always_inline)) { return own[i].rounded(x); });
        };
        const auto of_shifts = [&](auto ties) __attribute__((always_inline)) {
            const __m512i less = _mm512_set1_epi64(has_ties_ ? std::int64_t{1} << 31 : 0);
            const RightShifts own[] = {own_[0], own_[panels - 1]};
            store_rounded(
                Packing(to_), [&](int i, __m512i x) __attribute__((always_inline)) {
                    return own[i].template rounded<ties.value>(x, less);
                });
        };
        if (takes_floats()) {
            const PanelFloats<false> own[] = {floats<false>(0), floats<false>(1)};
            of_panels(FloatPacking(to_), own);
        } else if (to_.floats) {
            const PanelFloats<true> own[] = {floats<true>(0), floats<true>(1)};
            of_panels(FloatPacking(to_), own);
        } else if (to_.factors) {
            const PanelFactors own[] = {factors(0), factors(1)};
            of_panels(Packing(to_), own);
        } else if (!fits_)
            store_each(sums, pixels, result, pitch);
        else if (has_ties_ || !whole)
            of_shifts(std::true_type());
        else
            of_shifts(std::false_type());
    }

    /// Store the results of sums in registers. Requires takes_registers(), or takes_floats() if only they are
    /// wanted, for less code.
    template <bool only_floats, int pixels>
    MPSCNN_INLINE void store_registers(const __m512i (&sums)[pixels][panels], std::uint8_t *result,
                                       std::ptrdiff_t pitch) const {
        if constexpr (!only_floats) {
            if (!to_.floats) {
                const PanelFactors own[] = {factors(0), factors(1)};
                return store_rounded(Packing(to_), own, sums, result, pitch);
            }
            if (has_ties_) {
                const PanelFloats<true> own[] = {floats<true>(0), floats<true>(1)};
                return store_rounded(FloatPacking(to_), own, sums, result, pitch);
            }
        }
        const PanelFloats<false> own[] = {floats<false>(0), floats<false>(1)};
        store_rounded(FloatPacking(to_), own, sums, result, pitch);
    }

private:
    static constexpr std::int64_t panel = IntegerWeights::panel;
    static constexpr int at_once = 4 / panels; ///< pixels of 64 sums

    MPSCNN_INLINE PanelFactors factors(int r) const {
        return PanelFactors(to_.factors + (first_ + min(r, panels - 1) * panel) * 2);
    }
    template <bool ties> MPSCNN_INLINE PanelFloats<ties> floats(int r) const {
        return PanelFloats<ties>(to_.floats + (first_ + min(r, panels - 1) * panel) * (ties ? 5 : 2));
    }

    /// Packs 64 results to bytes within the limits, in the order of their pixels and outputs.
    struct Packing {
        explicit MPSCNN_INLINE Packing(const Requantization &to)
            : low(_mm512_set1_epi8(static_cast<char>(to.low))),
              high(_mm512_set1_epi8(static_cast<char>(to.high))),
              order(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)) {}

        MPSCNN_INLINE __m512i bytes(__m512i a, __m512i b, __m512i c, __m512i d) const {
            const __m512i all = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
            return _mm512_permutexvar_epi32(order, _mm512_min_epu8(_mm512_max_epu8(all, low), high));
        }

        __m512i low, high, order;
    };

    /// Packs results in the lower halves of 32 bits, as PanelFloats leaves them. Results of two registers
    /// alternate until the bytes are shuffled.
    struct FloatPacking : Packing {
        explicit MPSCNN_INLINE FloatPacking(const Requantization &to)
            : Packing(to), raised(of_lanes(0x01000100, 0x05040504, 0x09080908, 0x0d0c0d0c)),
              sorted(of_lanes(0x06040200, 0x07050301, 0x0e0c0a08, 0x0f0d0b09)) {}

        MPSCNN_INLINE __m512i bytes(__m512i a, __m512i b, __m512i c, __m512i d) const {
            const __m512i all = _mm512_packus_epi16(pairs(a, b), pairs(c, d));
            const __m512i limited = _mm512_min_epu8(_mm512_max_epu8(all, this->low), this->high);
            return _mm512_permutexvar_epi32(this->order, _mm512_shuffle_epi8(limited, sorted));
        }

    private:
        static MPSCNN_INLINE __m512i of_lanes(int a, int b, int c, int d) {
            return _mm512_broadcast_i32x4(_mm_setr_epi32(a, b, c, d));
        }
        /// Return the lower halves of a, with those of b in its upper halves.
        MPSCNN_INLINE __m512i pairs(__m512i a, __m512i b) const {
            return _mm512_mask_shuffle_epi8(a, 0xcccc'cccc'cccc'cccc, b, raised);
        }

        __m512i raised, sorted;
    };

    template <int pixels, class Packs, class Own>
    MPSCNN_INLINE void store_rounded(const Packs &packing, const Own &own,
                                     const __m512i (&sums)[pixels][panels], std::uint8_t *result,
                                     std::ptrdiff_t pitch) const {
        const bool whole = count_ >= panels * panel;
        const auto store = [&]<int p>(std::integral_constant<int, p>) __attribute__((always_inline)) {
            constexpr int own_pixels = pixels - p < at_once ? pixels - p : at_once;
            constexpr auto pixel_of = [](int i) { return i / panels < own_pixels ? p + i / panels : p; };
            const __m512i bytes = packing.bytes(
                own[0].rounded(sums[pixel_of(0)][0]), own[1].rounded(sums[pixel_of(1)][1 % panels]),
                own[0].rounded(sums[pixel_of(2)][2 % panels]), own[1].rounded(sums[pixel_of(3)][3 % panels]));
            if (whole)
                store_pixels<true>(bytes, own_pixels, result + p * pitch, pitch);
            else
                store_pixels<false>(bytes, own_pixels, result + p * pitch, pitch);
        };
        [&]<int... i>(std::integer_sequence<int, i...>) __attribute__((always_inline)) {
            (store(std::integral_constant<int, i * at_once>()), ...);
        }
        (std::make_integer_sequence<int, (pixels + at_once - 1) / at_once>());
    }

    __attribute__((noinline)) void store_each(const std::int32_t *sums, std::int64_t pixels,
                                              std::uint8_t *result, std::ptrdiff_t pitch) const {
        for (int r = 0; r < panels; ++r) {
            const PanelRequantizer requantizer(to_, first_ + r * panel);
            for (std::int64_t p = 0; p < pixels; ++p)
                requantizer.store(sums + (p * panels + r) * panel, count_ - r * panel,
                                  result + p * pitch + r * panel);
        }
    }

    /// Store all results. rounded(panel, sums) rounds the sums of a register. `whole`: the panels have all 16
    /// outputs.
    template <bool whole, class Packs, class Rounded>
    MPSCNN_INLINE void store_all(const Packs &packing, const Rounded &rounded, const std::int32_t *sums,
                                 std::int64_t pixels, std::uint8_t *result, std::ptrdiff_t pitch) const {
        for (std::int64_t p = 0; p < pixels; p += at_once, sums += 4 * panel) {
            const __m512i bytes = packing.bytes(rounded(0, _mm512_loadu_si512(sums)),
                                                rounded(1, _mm512_loadu_si512(sums + panel)),
                                                rounded(0, _mm512_loadu_si512(sums + 2 * panel)),
                                                rounded(1, _mm512_loadu_si512(sums + 3 * panel)));
            store_pixels<whole>(bytes, min(pixels - p, at_once), result + p * pitch, pitch);
        }
    }

    template <bool whole>
    MPSCNN_INLINE void store_pixels(__m512i bytes, std::int64_t pixels, std::uint8_t *to,
                                    std::ptrdiff_t pitch) const {
        const auto store = [&](auto own) __attribute__((always_inline)) {
            if constexpr (sizeof own == 32) {
                if (whole)
                    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to), own);
                else
                    _mm256_mask_storeu_epi8(to, ~std::uint32_t{0} >> (32 - count_), own);
            } else {
                if (whole)
                    _mm_storeu_si128(reinterpret_cast<__m128i *>(to), own);
                else
                    _mm_mask_storeu_epi8(to, static_cast<__mmask16>((1 << count_) - 1), own);
            }
            to += pitch;
        };
        if constexpr (panels == 2) {
            store(_mm512_castsi512_si256(bytes));
            if (pixels > 1) store(_mm512_extracti64x4_epi64(bytes, 1));
        } else {
            store(_mm512_castsi512_si128(bytes));
            if (pixels > 1) store(_mm512_extracti32x4_epi32(bytes, 1));
            if (pixels > 2) store(_mm512_extracti32x4_epi32(bytes, 2));
            if (pixels > 3) store(_mm512_extracti32x4_epi32(bytes, 3));
        }
    }

    const Requantization &to_;
    std::int64_t first_, count_;
    bool has_ties_, fits_ = true;
    RightShifts own_[panels];
};

#else
/// Without AVX-512, requantizes pixel by pixel.
template <int panels> class TileRequantizer {
    static_assert(panels == 1);

public:
    static constexpr bool has_factors = false;

    MPSCNN_INLINE TileRequantizer(const Requantization &to, std::int64_t first, std::int64_t count)
        : own_(to, first), count_(min(count, panel)) {}

    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t pixels, std::uint8_t *result,
                             std::ptrdiff_t pitch) const {
        for (std::int64_t p = 0; p < pixels; ++p) own_.store(sums + p * panel, count_, result + p * pitch);
    }

private:
    static constexpr std::int64_t panel = IntegerWeights::panel;

    PanelRequantizer own_;
    std::int64_t count_;
};
#endif

} // namespace
} // namespace mpscnn::cpu
