#pragma once

// Depthwise convolutions of integers with AVX2, for a strip of one row of the result and a panel of channels.
//
// The source rows of a strip are converted to 16-bit integers, and every two rows are interleaved column by
// column. Positions outside the source hold the zero point, so borders need no special code. Interleaving a
// column is done once for all outputs that read it. The bias is reduced by the contribution of the zero
// point. Registers hold the sums of a panel and the weights of a 3x3 window. The speed is limited by the
// products, a quarter of which are not used for windows of three rows.

#include <immintrin.h>

#include "cpu/kernels/integers/integer_pairs.h"
#include "cpu/kernels/integers/integer_requantization.h"

namespace mpscnn::cpu {
namespace {

/// Computes one panel of 16 channels. One register has the channels 0-3 and 8-11, and another one 4-7 and
/// 12-15, because AVX2 unpacks each half of a register separately.
class DepthwisePairs {
public:
    /// Return true unless the window is too large for this class.
    static MPSCNN_INLINE bool takes(const IntegerConvolutionTask &task) {
        return pairs_of(task) <= max_pairs && pairs_of(task) * task.horizontal.kernel <= max_taps &&
               columns_of(task.horizontal, 1) <= max_columns;
    }
    /// Return the maximum number of outputs of a row that can be computed together.
    static MPSCNN_INLINE std::int64_t max_outputs(const IntegerConvolutionTask &task) {
        return (max_columns - columns_of(task.horizontal, 1)) / task.horizontal.stride + 1;
    }

    MPSCNN_INLINE DepthwisePairs(const IntegerConvolutionTask &task, std::int64_t channel)
        : task_(task), channel_(channel), count_(min(task.destination.channels - channel, panel)),
          end_(end_of(task.source)), requantizer_(task.requantization, channel),
          zero_(_mm256_set1_epi16(static_cast<short>(task.source_zero))) {
        const std::int64_t pitch = round_up(task.weights.groups, 2 * panel), kernel = task.horizontal.kernel;
        const std::int16_t *const values = task.weights.values + channel;
        const __m256i low = load(task.weights.bias + channel), high = load(task.weights.bias + channel + 8);
        bias_[0] = _mm256_permute2x128_si256(low, high, 0x20);
        bias_[1] = _mm256_permute2x128_si256(low, high, 0x31);
        __m256i *to = weights_;
        for (std::int64_t v = 0; v < kernel; ++v)
            for (std::int64_t u = 0; u < task.vertical.kernel; u += 2, to += 2) {
                const __m256i first = load(values + (u * kernel + v) * pitch),
                              second = u + 1 < task.vertical.kernel
                                           ? load(values + ((u + 1) * kernel + v) * pitch)
                                           : _mm256_setzero_si256();
                to[0] = _mm256_unpacklo_epi16(first, second);
                to[1] = _mm256_unpackhi_epi16(first, second);
                for (int i = 0; i < 2; ++i)
                    bias_[i] = _mm256_sub_epi32(bias_[i], _mm256_madd_epi16(to[i], zero_));
            }
    }

    /// Compute the outputs [outputs) of row y.
    void run(std::int64_t image, std::int64_t y, std::int64_t, Range outputs) const {
        const WindowAxis &horizontal = task_.horizontal;
        __m256i columns[2 * max_pairs * max_columns];
        alignas(32) std::int32_t sums[max_columns * panel];
        interleave(image, y * task_.vertical.stride - task_.vertical.before,
                   outputs.begin * horizontal.stride - horizontal.before,
                   columns_of(horizontal, outputs.size()), columns);
        const std::int64_t pairs = pairs_of(task_);
        if (horizontal.kernel == 3 && pairs == 2 && horizontal.dilation == 1)
            add<3, 2>(columns, outputs.size(), sums);
        else if (horizontal.kernel == 5 && pairs == 3 && horizontal.dilation == 1)
            add<5, 3>(columns, outputs.size(), sums);
        else
            add_any(columns, outputs.size(), sums);
        const auto result_of = [&](std::int64_t i) {
            return bytes_at(task_.destination, image, y, outputs.begin + i) + channel_;
        };
        std::int64_t i = 0;
        for (; i + 4 <= outputs.size(); i += 4) {
            std::uint8_t *const results[] = {result_of(i), result_of(i + 1), result_of(i + 2),
                                             result_of(i + 3)};
            store_pixels<4>(requantizer_, sums + i * panel, count_, results);
        }
        for (; i < outputs.size(); ++i) requantizer_.store(sums + i * panel, count_, result_of(i));
    }

private:
    static constexpr std::int64_t panel = IntegerWeights::panel, max_pairs = 4, max_taps = 28,
                                  max_columns = 64;

    static MPSCNN_INLINE std::int64_t pairs_of(const IntegerConvolutionTask &task) {
        return divide_up(task.vertical.kernel, 2);
    }
    static MPSCNN_INLINE __m256i load(const void *from) {
        return _mm256_loadu_si256(static_cast<const __m256i *>(from));
    }

    template <bool whole> MPSCNN_INLINE __m256i widened_panel(const std::uint8_t *bytes) const {
        std::uint8_t own[panel];
        if (!whole && end_ - bytes < panel) { // do not read beyond the tensor
            for (std::int64_t c = 0; c < panel; ++c) own[c] = c < count_ ? bytes[c] : 0;
            bytes = own;
        }
        return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i *>(bytes)));
    }

    /// Interleave the columns of two rows. A null pointer stands for a row outside the source. `whole`: each
    /// column's panel of bytes may be read as a whole.
    template <bool whole>
    MPSCNN_INLINE void interleave_rows(const std::uint8_t *first, const std::uint8_t *second,
                                       std::int64_t columns, __m256i *to, std::ptrdiff_t pitch) const {
        const std::ptrdiff_t step = task_.source.pixel_stride;
        const auto put = [&](auto one, auto other) __attribute__((always_inline)) {
            for (std::int64_t i = 0; i < columns; ++i, to += pitch) {
                const __m256i a = one(i), b = other(i);
                to[0] = _mm256_unpacklo_epi16(a, b);
                to[1] = _mm256_unpackhi_epi16(a, b);
            }
        };
        const auto of_first = [&](std::int64_t i) { return widened_panel<whole>(first + i * step); };
        const auto of_second = [&](std::int64_t i) { return widened_panel<whole>(second + i * step); };
        const auto outside = [&](std::int64_t) { return zero_; };
        if (first && second)
            put(of_first, of_second);
        else if (first)
            put(of_first, outside);
        else if (second)
            put(outside, of_second);
        else
            put(outside, outside);
    }

    /// Interleave the columns of a window's rows, from source position (top, left) on. The layout is
    /// [column][pair of rows][2 registers].
    MPSCNN_INLINE void interleave(std::int64_t image, std::int64_t top, std::int64_t left,
                                  std::int64_t columns, __m256i *to) const {
        const ConstView &from = task_.source;
        const std::int64_t pitch = 2 * pairs_of(task_), inside = clamped(-left, 0, columns),
                           outside = clamped(from.width - left, inside, columns);
        const auto row_of = [&](std::int64_t u) -> const std::uint8_t * {
            const std::int64_t y = top + u * task_.vertical.dilation;
            if (u >= task_.vertical.kernel || y < 0 || y >= from.height) return nullptr;
            return bytes_at(from, image, y, left + inside) + channel_;
        };
        const std::ptrdiff_t last = (outside - inside - 1) * from.pixel_stride + panel;
        const auto is_whole = [&](const std::uint8_t *row) { return !row || end_ - row >= last; };
        for (std::int64_t u = 0; u < task_.vertical.kernel; u += 2, to += 2) {
            for (std::int64_t i = 0; i < inside; ++i) to[i * pitch] = to[i * pitch + 1] = zero_;
            for (std::int64_t i = outside; i < columns; ++i) to[i * pitch] = to[i * pitch + 1] = zero_;
            const std::uint8_t *const first = row_of(u), *const second = row_of(u + 1);
            __m256i *const own = to + inside * pitch;
            if (is_whole(first) && is_whole(second))
                interleave_rows<true>(first, second, outside - inside, own, pitch);
            else
                interleave_rows<false>(first, second, outside - inside, own, pitch);
        }
    }

    static MPSCNN_INLINE void store_sums(__m256i low, __m256i high, std::int32_t *to) {
        PanelSums::store(to, _mm256_permute2x128_si256(low, high, 0x20));
        PanelSums::store(to + 8, _mm256_permute2x128_si256(low, high, 0x31));
    }

    template <int kernel, int pairs>
    __attribute__((noinline)) void add(const __m256i *columns, std::int64_t outputs,
                                       std::int32_t *sums) const {
        constexpr int registers = 2 * kernel * pairs;
        const std::ptrdiff_t step = 2 * pairs * task_.horizontal.stride;
        __m256i weights[registers];
#pragma GCC unroll 32
        for (int i = 0; i < registers; ++i) weights[i] = weights_[i];
        for (std::int64_t x = 0; x < outputs; ++x, columns += step, sums += panel) {
            __m256i low = bias_[0], high = bias_[1];
#pragma GCC unroll 16
            for (int i = 0; i < registers; i += 2) {
                low = PanelSums::add(low, weights[i], columns[i]);
                high = PanelSums::add(high, weights[i + 1], columns[i + 1]);
                keep_sum(low), keep_sum(high);
            }
            store_sums(low, high, sums);
        }
    }

    /// Compute the sums for a window of any size.
    __attribute__((noinline)) void add_any(const __m256i *columns, std::int64_t outputs,
                                           std::int32_t *sums) const {
        const std::int64_t registers = 2 * pairs_of(task_);
        const std::ptrdiff_t step = registers * task_.horizontal.stride,
                             next = registers * task_.horizontal.dilation;
        for (std::int64_t x = 0; x < outputs; ++x, columns += step, sums += panel) {
            __m256i low = bias_[0], high = bias_[1];
            const __m256i *weights = weights_, *column = columns;
            for (std::int64_t v = 0; v < task_.horizontal.kernel; ++v, column += next, weights += registers)
                for (std::int64_t i = 0; i < registers; i += 2) {
                    low = PanelSums::add(low, weights[i], column[i]);
                    high = PanelSums::add(high, weights[i + 1], column[i + 1]);
                }
            store_sums(low, high, sums);
        }
    }

    const IntegerConvolutionTask &task_;
    std::int64_t channel_, count_;
    const std::uint8_t *end_;
    PanelRequantizer requantizer_;
    __m256i zero_, weights_[2 * max_taps], bias_[2];
};

} // namespace
} // namespace mpscnn::cpu
