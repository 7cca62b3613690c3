#pragma once

// Requantizes the sums of pixels x one or two panels to bytes with AVX-512, 64 bytes at a time. This requires
// that all shifts are to the right; other sums are requantized panel by panel.
//
// Both roundings are one shift of 64 bits, as in integer_requantization.h. The number that is added before
// the shift includes the zero point. Products of odd lanes are shifted by 32 bits less, so that their results
// are in the upper halves, where they belong. Packing saturates to bytes before the limits are applied, which
// makes no difference, because limits are bytes. The speed is limited by multiplications and shifts, some
// five cycles for 16 sums.

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

/// Requantizes tiles of pixels x `panels` panels of outputs, for `count` outputs from `first` on. `first`
/// begins a panel.
template <int panels> class TileRequantizer {
public:
    MPSCNN_INLINE TileRequantizer(const Requantization &to, std::int64_t first, std::int64_t count)
        : to_(to), first_(first), count_(min(count, panels * panel)),
          has_ties_(!to.once && to.low < to.zero_point) {
        fits_ = own_[0].set(to, first, count_);
        if constexpr (panels == 2) fits_ &= own_[1].set(to, first + panel, count_ - panel);
    }

    /// Store the results of pixels that are `pitch` bytes apart. Sums are [pixel][panel][16]. A multiple of
    /// 64 sums may be read.
    MPSCNN_INLINE void store(const std::int32_t *sums, std::int64_t pixels, std::uint8_t *result,
                             std::ptrdiff_t pitch) const {
        if (!fits_)
            store_each(sums, pixels, result, pitch);
        else if (count_ < panels * panel)
            store_all<true, false>(sums, pixels, result, pitch);
        else if (has_ties_)
            store_all<true, true>(sums, pixels, result, pitch);
        else
            store_all<false, true>(sums, pixels, result, pitch);
    }

private:
    static constexpr std::int64_t panel = IntegerWeights::panel;

    __attribute__((noinline)) void store_each(const std::int32_t *sums, std::int64_t pixels,
                                              std::uint8_t *result, std::ptrdiff_t pitch) const {
        for (int r = 0; r < panels; ++r) {
            const PanelRequantizer requantizer(to_, first_ + r * panel);
            for (std::int64_t p = 0; p < pixels; ++p)
                requantizer.store(sums + (p * panels + r) * panel, count_ - r * panel,
                                  result + p * pitch + r * panel);
        }
    }

    /// Store all results. `has_ties`: ties of negative sums may matter. `whole`: the panels have all 16
    /// outputs.
    template <bool has_ties, bool whole>
    MPSCNN_INLINE void store_all(const std::int32_t *sums, std::int64_t pixels, std::uint8_t *result,
                                 std::ptrdiff_t pitch) const {
        constexpr int at_once = 4 / panels, last = panels - 1;
        const __m512i less = _mm512_set1_epi64(has_ties_ ? std::int64_t{1} << 31 : 0),
                      low = _mm512_set1_epi8(static_cast<char>(to_.low)),
                      high = _mm512_set1_epi8(static_cast<char>(to_.high)),
                      order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
        const RightShifts first = own_[0], second = own_[last];
        for (std::int64_t p = 0; p < pixels; p += at_once, sums += 4 * panel) {
            const __m512i a = first.rounded<has_ties>(_mm512_loadu_si512(sums), less),
                          b = second.rounded<has_ties>(_mm512_loadu_si512(sums + panel), less),
                          c = first.rounded<has_ties>(_mm512_loadu_si512(sums + 2 * panel), less),
                          d = second.rounded<has_ties>(_mm512_loadu_si512(sums + 3 * panel), less);
            const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
            const __m512i limited = _mm512_min_epu8(_mm512_max_epu8(bytes, low), high);
            const __m512i all = _mm512_permutexvar_epi32(order, limited);
            store_pixels<whole>(all, min(pixels - p, at_once), result + p * pitch, pitch);
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
    bool has_ties_, fits_;
    RightShifts own_[panels];
};

#else
/// Without AVX-512, requantizes pixel by pixel.
template <int panels> class TileRequantizer {
    static_assert(panels == 1);

public:
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
