#pragma once

// Depthwise convolutions of integers with AVX2 and 3x3 windows, for 32 channels of a strip of one or two
// rows.
//
// The bytes of four source rows are interleaved column by column, so that a column has four bytes of each
// channel. Two rows of results read the same columns if the stride is 1: the weights of the first row are
// (w0, w1, w2, 0), and those of the second one (0, w0, w1, w2). VPMADDUBSW adds the products of two bytes in
// 16 bits, with saturation. So weights decide how the products of the eight channels of a register are added:
//
// - the sums of all three columns fit 16 bits: two 16-bit sums of each channel become one 32-bit sum at the
//   end;
// - the sums of one column fit: they become 32-bit sums column by column;
// - otherwise bytes are widened to 16 bits and multiplied by 16-bit weights.
//
// Registers hold the sums of two pixels, which are requantized there. The speed is limited by the products
// and the requantization.

#include <immintrin.h>

#include "cpu/kernels/integers/integer_depthwise_pairs.h"

namespace mpscnn::cpu {
namespace {

class DepthwiseBytes {
public:
    static constexpr std::int64_t channels = 2 * IntegerWeights::panel; ///< that are computed at a time

    static MPSCNN_INLINE bool takes(const IntegerConvolutionTask &task) {
        const auto has_three = [](const WindowAxis &axis) __attribute__((always_inline)) {
            return axis.kernel == 3;
        };
        return has_three(task.vertical) && has_three(task.horizontal) && task.horizontal.dilation == 1 &&
               task.horizontal.stride <= 2;
    }
    /// Return the maximum number of outputs of a row that can be computed together.
    static MPSCNN_INLINE std::int64_t max_outputs(const IntegerConvolutionTask &task) {
        return (max_columns - taps) / task.horizontal.stride + 1;
    }
    /// Return the number of rows of results that can be computed together.
    static MPSCNN_INLINE std::int64_t max_rows(const IntegerConvolutionTask &task) {
        return task.vertical.stride == 1 && task.vertical.dilation == 1 ? 2 : 1;
    }

    DepthwiseBytes(const IntegerConvolutionTask &task, std::int64_t channel)
        : task_(task), channel_(channel), count_(min(task.destination.channels - channel, channels)),
          requantizer_(task.requantization, channel),
          zero_(_mm256_set1_epi8(static_cast<char>(task.source_zero))) {
        set_weights();
    }

    /// Compute the outputs [outputs) of `rows` rows from y on.
    void run(std::int64_t image, std::int64_t y, std::int64_t rows, Range outputs) const {
        alignas(32) __m256i columns[max_columns * registers];
        interleave(image, y, rows + taps - 1, outputs, columns);
        for (std::int64_t row = 0; row < rows; ++row) {
            std::uint8_t *const result =
                bytes_at(task_.destination, image, y + row, outputs.begin) + channel_;
            requantizer_.visit([&](auto rounding) __attribute__((always_inline)) {
                add_row<rounding.value>(columns, row, outputs.size(), result);
            });
        }
    }

private:
    static constexpr std::int64_t taps = 3, max_columns = 64;
    static constexpr int registers = 4; ///< for 32 channels
    enum class Products { all_columns, one_column, of_words };

    static MPSCNN_INLINE __m256i load(const void *from) {
        return _mm256_loadu_si256(static_cast<const __m256i *>(from));
    }
    /// Interleave the bytes of four rows. Register i has the channels from 4 * i and from 16 + 4 * i on.
    static MPSCNN_INLINE void interleave_bytes(__m256i a, __m256i b, __m256i c, __m256i d, __m256i *to) {
        const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b),
                      others = _mm256_unpacklo_epi8(c, d), high_others = _mm256_unpackhi_epi8(c, d);
        to[0] = _mm256_unpacklo_epi16(low, others), to[1] = _mm256_unpackhi_epi16(low, others);
        to[2] = _mm256_unpacklo_epi16(high, high_others), to[3] = _mm256_unpackhi_epi16(high, high_others);
    }
    /// The 16-bit weights of 32 channels, or sums of them.
    struct Words {
        __m256i low, high;

        /// Interleave with other words. The registers have the channels of interleave_bytes().
        MPSCNN_INLINE void interleave(const Words &other, __m256i *to, int step) const {
            const __m256i a = _mm256_permute2x128_si256(low, high, 0x20),
                          b = _mm256_permute2x128_si256(low, high, 0x31),
                          c = _mm256_permute2x128_si256(other.low, other.high, 0x20),
                          d = _mm256_permute2x128_si256(other.low, other.high, 0x31);
            to[0] = _mm256_unpacklo_epi16(a, c), to[step] = _mm256_unpackhi_epi16(a, c);
            to[2 * step] = _mm256_unpacklo_epi16(b, d), to[3 * step] = _mm256_unpackhi_epi16(b, d);
        }
        MPSCNN_INLINE __m256i bytes() const {
            return _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
        }
    };
    /// The smallest and largest words of all channels.
    struct Limits {
        __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();

        MPSCNN_INLINE void include(__m256i smaller, __m256i larger) {
            low = _mm256_min_epi16(low, smaller), high = _mm256_max_epi16(high, larger);
        }
        /// Return a mask whose byte i is not 0 if channels of register i are beyond these limits.
        MPSCNN_INLINE unsigned beyond(short smallest, short largest) const {
            return static_cast<unsigned>(
                _mm256_movemask_epi8(_mm256_or_si256(_mm256_cmpgt_epi16(_mm256_set1_epi16(smallest), low),
                                                     _mm256_cmpgt_epi16(high, _mm256_set1_epi16(largest)))));
        }
    };

    /// Set products_.
    void set_products(const Words (&weights)[taps][taps]) {
        const __m256i nothing = _mm256_setzero_si256();
        Limits single, of_column, of_all;
        for (const bool second : {false, true})  // half of the channels
            for (int u = 0; u + 1 < taps; ++u) { // both pairs of adjacent rows
                __m256i below = nothing, above = nothing;
                for (int v = 0; v < taps; ++v) {
                    const auto of = [&](int row) {
                        return second ? weights[row][v].high : weights[row][v].low;
                    };
                    const __m256i a = of(u), b = of(u + 1),
                                  negative = _mm256_add_epi16(_mm256_min_epi16(a, nothing),
                                                              _mm256_min_epi16(b, nothing)),
                                  positive = _mm256_add_epi16(_mm256_max_epi16(a, nothing),
                                                              _mm256_max_epi16(b, nothing));
                    single.include(_mm256_min_epi16(a, b), _mm256_max_epi16(a, b));
                    of_column.include(negative, positive);
                    below = _mm256_add_epi16(below, negative), above = _mm256_add_epi16(above, positive);
                }
                of_all.include(below, above);
            }
        const unsigned words = single.beyond(-128, 127) | of_column.beyond(-128, 128),
                       columns = of_all.beyond(-128, 128);
        for (int i = 0; i < registers; ++i) {
            const auto has = [&](unsigned mask) { return (mask >> 8 * i & 0xff) != 0; };
            products_[i] = has(words)     ? Products::of_words
                           : has(columns) ? Products::one_column
                                          : Products::all_columns;
        }
    }

    /// Set products_, weights_ and bias_.
    void set_weights() {
        const std::int64_t pitch = round_up(task_.weights.groups, channels);
        const std::int16_t *const values = task_.weights.values + channel_;
        const __m256i nothing = _mm256_setzero_si256();
        const Words no_words{nothing, nothing};
        Words weights[taps][taps], total = no_words;
        for (int u = 0; u < taps; ++u)
            for (int v = 0; v < taps; ++v) {
                const std::int16_t *const from = values + (u * taps + v) * pitch;
                weights[u][v] = {load(from), load(from + IntegerWeights::panel)};
                total = {_mm256_add_epi16(total.low, weights[u][v].low),
                         _mm256_add_epi16(total.high, weights[u][v].high)};
            }
        set_products(weights);
        for (int v = 0; v < taps; ++v) {
            const Words &a = weights[0][v], &b = weights[1][v], &c = weights[2][v];
            __m256i bytes[2][registers], words[2][registers][2];
            interleave_bytes(a.bytes(), b.bytes(), c.bytes(), nothing, bytes[0]);
            interleave_bytes(nothing, a.bytes(), b.bytes(), c.bytes(), bytes[1]);
            a.interleave(c, words[0][0], 2), b.interleave(no_words, words[0][0] + 1, 2);
            no_words.interleave(b, words[1][0], 2), a.interleave(c, words[1][0] + 1, 2);
            for (int row = 0; row < 2; ++row)
                for (int i = 0; i < registers; ++i) {
                    const bool of_words = products_[i] == Products::of_words;
                    weights_[row][v][i][0] = of_words ? words[row][i][0] : bytes[row][i];
                    weights_[row][v][i][1] = words[row][i][1];
                }
        }
        __m256i totals[registers];
        total.interleave(no_words, totals, 1);
        const __m256i zero = _mm256_set1_epi32(task_.source_zero);
        for (int i = 0; i < registers; ++i) {
            const std::int32_t *const bias = task_.weights.bias + channel_ + 4 * i;
            bias_[i] = _mm256_sub_epi32(load_halves(bias, bias + IntegerWeights::panel),
                                        _mm256_madd_epi16(totals[i], zero));
        }
    }

    /// Interleave the columns of `rows` source rows that the outputs of row y read.
    MPSCNN_INLINE void interleave(std::int64_t image, std::int64_t y, std::int64_t rows, Range outputs,
                                  __m256i *to) const {
        const ConstView &from = task_.source;
        const WindowAxis &vertical = task_.vertical, &horizontal = task_.horizontal;
        const std::int64_t left = outputs.begin * horizontal.stride - horizontal.before,
                           columns = columns_of(horizontal, outputs.size()),
                           inside = clamped(-left, 0, columns),
                           outside = clamped(from.width - left, inside, columns);
        for (std::int64_t i = 0; i < inside * registers; ++i) to[i] = zero_;
        for (std::int64_t i = outside * registers; i < columns * registers; ++i) to[i] = zero_;
        // Rows outside the source are read from zero_, again and again.
        const std::uint8_t *row[registers];
        std::ptrdiff_t step[registers];
        bool is_whole = true;
        for (std::int64_t u = 0; u < registers; ++u) {
            const std::int64_t at = y * vertical.stride - vertical.before + u * vertical.dilation;
            const bool exists = u < rows && at >= 0 && at < from.height && inside < outside;
            row[u] = exists ? bytes_at(from, image, at, left + inside) + channel_
                            : reinterpret_cast<const std::uint8_t *>(&zero_);
            step[u] = exists ? from.pixel_stride : 0;
            is_whole &= !exists || end_of(from) - row[u] >= (outside - inside - 1) * step[u] + channels;
        }
        for (std::int64_t i = inside; i < outside; ++i) {
            __m256i own[registers];
            for (int u = 0; u < registers; ++u) {
                own[u] = is_whole || step[u] == 0 ? load(row[u]) : load_inside(row[u]);
                row[u] += step[u];
            }
            interleave_bytes(own[0], own[1], own[2], own[3], to + i * registers);
        }
    }
    /// Load the channels of a pixel, without reading beyond the tensor.
    __attribute__((noinline)) __m256i load_inside(const std::uint8_t *bytes) const {
        alignas(32) std::uint8_t own[channels] = {};
        for (std::int64_t c = 0; c < count_; ++c) own[c] = bytes[c];
        return load(own);
    }

    template <Rounding rounding>
    __attribute__((noinline)) void add_row(const __m256i *columns, std::int64_t row, std::int64_t outputs,
                                           std::uint8_t *result) const {
        const std::ptrdiff_t pitch = task_.destination.pixel_stride,
                             step = task_.horizontal.stride * registers;
        const auto &weights = weights_[row];
        if (outputs == 1) return add_pixels<rounding, 1>(columns, step, weights, result, pitch);
        // The last two pixels may overlap the two before them.
        for (std::int64_t x = 0; x < outputs; x += 2) {
            const std::int64_t at = min(x, outputs - 2);
            add_pixels<rounding, 2>(columns + at * step, step, weights, result + at * pitch, pitch);
        }
    }

    template <Rounding rounding, int pixels>
    MPSCNN_INLINE void add_pixels(const __m256i *columns, std::ptrdiff_t step,
                                  const __m256i (&weights)[taps][registers][2], std::uint8_t *result,
                                  std::ptrdiff_t pitch) const {
        __m256i sums[pixels][registers];
        for_constants<registers>([&](auto i) __attribute__((always_inline)) {
            if (products_[i] == Products::all_columns)
                add_columns<Products::all_columns, i>(columns, step, weights, sums);
            else if (products_[i] == Products::one_column)
                add_columns<Products::one_column, i>(columns, step, weights, sums);
            else
                add_columns<Products::of_words, i>(columns, step, weights, sums);
        });
        const auto sums_of = [&](int p, int i) __attribute__((always_inline)) { return sums[p][i]; };
        const auto store = [&](auto p, __m256i bytes) __attribute__((always_inline)) {
            store_bytes(_mm256_castsi256_si128(bytes), count_, result + p * pitch);
            store_bytes(_mm256_extracti128_si256(bytes, 1), count_ - IntegerWeights::panel,
                        result + p * pitch + IntegerWeights::panel);
        };
        if ((rounding != Rounding::factors && !requantizer_.fits()) ||
            !requantizer_.template requantize<rounding, pixels>(sums_of, store)) [[unlikely]]
            for (int p = 0; p < pixels; ++p) store_any(sums[p], result + p * pitch);
    }

    /// Compute the sums of register i.
    template <Products products, int i, int pixels>
    MPSCNN_INLINE void add_columns(const __m256i *columns, std::ptrdiff_t step,
                                   const __m256i (&weights)[taps][registers][2],
                                   __m256i (&sums)[pixels][registers]) const {
        const __m256i ones = _mm256_set1_epi16(1);
        for_constants<pixels>([&](auto p) __attribute__((always_inline)) {
            const auto column = [&](int v) __attribute__((always_inline)) {
                return columns[p * step + v * registers + i];
            };
            const auto pairs = [&](int v) __attribute__((always_inline)) {
                return _mm256_maddubs_epi16(column(v), weights[v][i][0]);
            };
            __m256i sum = bias_[i];
            if constexpr (products == Products::all_columns)
                sum = _mm256_add_epi32(
                    sum, _mm256_madd_epi16(_mm256_add_epi16(_mm256_add_epi16(pairs(0), pairs(1)), pairs(2)),
                                           ones));
            else
                for_constants<taps>([&](auto v) __attribute__((always_inline)) {
                    if constexpr (products == Products::one_column) {
                        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs(v), ones));
                    } else {
                        const __m256i even = _mm256_and_si256(column(v), _mm256_set1_epi16(0xff)),
                                      odd = _mm256_srli_epi16(column(v), 8);
                        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, weights[v][i][0]));
                        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(odd, weights[v][i][1]));
                    }
                });
            sums[p][i] = sum;
        });
    }

    /// Store the results of a pixel whose bounds differ.
    __attribute__((noinline)) void store_any(const __m256i (&sums)[registers], std::uint8_t *result) const {
        constexpr std::int64_t panel = IntegerWeights::panel;
        alignas(16) std::int32_t own[channels];
        for (int i = 0; i < registers; ++i) {
            _mm_store_si128(reinterpret_cast<__m128i *>(own + 4 * i), _mm256_castsi256_si128(sums[i]));
            _mm_store_si128(reinterpret_cast<__m128i *>(own + panel + 4 * i),
                            _mm256_extracti128_si256(sums[i], 1));
        }
        for (std::int64_t first = 0; first < channels; first += panel)
            PanelRequantizer(task_.requantization, channel_ + first)
                .store(own + first, min(count_ - first, panel), result + first);
    }

    const IntegerConvolutionTask &task_;
    std::int64_t channel_, count_;
    RegisterRequantizer<2> requantizer_;
    Products products_[registers];
    __m256i zero_, bias_[registers];
    /// The weights of both rows: quads of bytes, or two pairs of words, of which the first is for even bytes.
    __m256i weights_[2][taps][registers][2];
};

/// Compute some rows of an image, for channels that DepthwiseBytes or DepthwisePairs supports.
MPSCNN_INLINE void depthwise_strips(const IntegerConvolutionTask &task, std::int64_t image, Range rows) {
    constexpr std::int64_t panel = IntegerWeights::panel, max_bytes = 56 * 1024;
    const View &to = task.destination;
    // The panels of a pixel are in the same cache lines. Compute all panels for this many rows, while the
    // lines stay in L1.
    const std::int64_t row_bytes = task.source.row_stride * task.vertical.stride,
                       at_once = clamped(max_bytes / max(row_bytes, 1) / 2 * 2, 2, max(rows.size(), 2));
    const bool has_bytes = DepthwiseBytes::takes(task);
    const auto compute = [&](const auto &own, Range part, std::int64_t rows_at_once, std::int64_t maximum) {
        const std::int64_t strips = divide_up(to.width, maximum);
        for (std::int64_t y = part.begin; y < part.end; y += rows_at_once)
            for (std::int64_t strip = 0; strip < strips; ++strip)
                own.run(image, y, min(rows_at_once, part.end - y), part_of(to.width, strips, strip));
    };
    for (std::int64_t first = rows.begin; first < rows.end; first += at_once) {
        const Range part{first, min(first + at_once, rows.end)};
        for (std::int64_t channel = 0; channel < to.channels;)
            if (has_bytes && to.channels - channel > panel) {
                compute(DepthwiseBytes(task, channel), part, DepthwiseBytes::max_rows(task),
                        DepthwiseBytes::max_outputs(task));
                channel += DepthwiseBytes::channels;
            } else {
                compute(DepthwisePairs(task, channel), part, 1, DepthwisePairs::max_outputs(task));
                channel += panel;
            }
    }
}

} // namespace
} // namespace mpscnn::cpu
