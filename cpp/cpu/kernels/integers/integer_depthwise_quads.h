#pragma once

// Depthwise convolutions of bytes with the instruction VPDPBUSD, which adds four products. Here these are the
// products of four rows of the window.
//
// For a strip of a row of the result and 32 channels, the bytes of four source rows are interleaved, column
// by column. Then a register holds 16 channels of a column, and all outputs that read the column multiply it.
// A window of three rows would not use the fourth row. For 3x3 windows without stride and dilation, two rows
// of the result are computed from the same registers, with the weights moved by one byte for the second one.
// Registers hold the sums of 4 pixels of both rows, and the weights of a 3x3 window. Sums pass through L1 to
// the requantization, except for 3x3 windows with Requantization::floats or factors. The requantization
// limits the speed of most networks.

#include "cpu/isa/simd_avx512.h"
#include "cpu/kernels/integers/integer_tile_requantization.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

struct DepthwiseQuadPlan {
    WorkSplit split;                                   ///< its rows are groups of rows_at_once rows
    std::int64_t rows_at_once, strips, fours, columns; ///< fours: groups of four source rows
};

constexpr std::int64_t block_channels = 2 * IntegerWeights::panel, max_strip = 28;

MPSCNN_INLINE bool is_dense(const WindowAxis &axis) {
    return axis.kernel == 3 && axis.stride == 1 && axis.dilation == 1;
}

MPSCNN_INLINE Prepared prepare_depthwise_quads(const IntegerConvolutionTask &task, const Planning &planning) {
    const View &to = task.destination;
    DepthwiseQuadPlan plan{};
    plan.rows_at_once = is_dense(task.vertical) && is_dense(task.horizontal) ? 2 : 1;
    plan.strips = divide_up(to.width, max_strip);
    plan.fours = divide_up(task.vertical.kernel, 4);
    plan.columns = columns_of(task.horizontal, divide_up(to.width, plan.strips));
    plan.split =
        split_work(to.batch, divide_up(to.height, plan.rows_at_once), divide_up(to.channels, block_channels),
                   to.batch * to.height * to.width * to.channels, min_elements, planning.threads);
    const std::int64_t bytes = plan.fours * plan.columns * 4 * block_channels;
    return planning.keep(plan, plan.split.items(), static_cast<std::size_t>(bytes));
}

/// The work of one call: up to 32 channels of a strip (a part of a row of the result).
struct DepthwiseBlock {
    std::int64_t channel, channels;
    Range outputs; ///< the strip
};

/// A row of the source, or a row of zero points in place of a row outside the source.
struct InterleavedRow {
    const std::uint8_t *bytes; ///< column 0
    std::ptrdiff_t pitch;
};

/// Interleave the bytes of four rows in one column: [channel][4], with 16 channels in each register.
template <bool whole>
MPSCNN_INLINE void interleave(const InterleavedRow (&rows)[4], std::int64_t column, std::int64_t channels,
                              std::uint8_t *to, std::ptrdiff_t second) {
    const auto load = [&](int row) __attribute__((always_inline)) {
        const std::uint8_t *const from = rows[row].bytes + column * rows[row].pitch;
        if (whole) return _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
        return _mm256_maskz_loadu_epi8(~std::uint32_t{0} >> (32 - channels), from);
    };
    const __m512i even = _mm512_inserti64x4(_mm512_castsi256_si512(load(0)), load(2), 1),
                  odd = _mm512_inserti64x4(_mm512_castsi256_si512(load(1)), load(3), 1);
    // The lower half has pairs of rows 0 and 1, the upper half pairs of rows 2 and 3. `first` has channels
    // 0-7 and 16-23, `last` 8-15 and 24-31.
    const __m512i first = _mm512_unpacklo_epi8(even, odd), last = _mm512_unpackhi_epi8(even, odd);
    const auto order = [](int lane) __attribute__((always_inline)) {
        const __m512i pairs =
            _mm512_setr_epi32(0x100000, 0x110001, 0x120002, 0x130003, 0x140004, 0x150005, 0x160006, 0x170007,
                              0x300020, 0x310021, 0x320022, 0x330023, 0x340024, 0x350025, 0x360026, 0x370027);
        return _mm512_add_epi16(pairs, _mm512_set1_epi16(static_cast<short>(8 * lane)));
    };
    _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, order(0), last));
    if (whole || channels > IntegerWeights::panel)
        _mm512_storeu_si512(to + second, _mm512_permutex2var_epi16(first, order(1), last));
}

/// Interleave four source rows, from `row` on, in the columns that a strip reads, from `first` on.
MPSCNN_INLINE void interleave_strip(const IntegerConvolutionTask &task, const DepthwiseBlock &block,
                                    std::int64_t image, std::int64_t row, std::int64_t first,
                                    std::int64_t columns, std::uint8_t *to, std::ptrdiff_t second) {
    const ConstView &from = task.source;
    constexpr std::ptrdiff_t bytes = 4 * IntegerWeights::panel;
    alignas(32) std::uint8_t zeros[block_channels];
    _mm256_store_si256(reinterpret_cast<__m256i *>(zeros),
                       _mm256_set1_epi8(static_cast<char>(task.source_zero)));
    InterleavedRow rows[4];
    for (int lane = 0; lane < 4; ++lane) {
        const std::int64_t y = row + lane * task.vertical.dilation;
        rows[lane] = y >= 0 && y < from.height
                         ? InterleavedRow{bytes_at(from, image, y, 0) + block.channel, from.pixel_stride}
                         : InterleavedRow{zeros, 0};
    }
    const std::int64_t inside = clamped(-first, 0, columns),
                       outside = clamped(from.width - first, inside, columns);
    const auto fill = [&](Range range) __attribute__((always_inline)) {
        const __m512i zero = _mm512_set1_epi8(static_cast<char>(task.source_zero));
        for (std::int64_t i = range.begin; i < range.end; ++i) {
            _mm512_storeu_si512(to + i * bytes, zero);
            _mm512_storeu_si512(to + second + i * bytes, zero);
        }
    };
    fill({0, inside});
    if (block.channels == block_channels)
        for (std::int64_t i = inside; i < outside; ++i)
            interleave<true>(rows, first + i, block_channels, to + i * bytes, second);
    else
        for (std::int64_t i = inside; i < outside; ++i)
            interleave<false>(rows, first + i, block.channels, to + i * bytes, second);
    fill({outside, columns});
}

/// The operands and sums of a strip for one panel of 16 channels.
struct DepthwisePanel {
    const std::uint8_t *columns; ///< interleaved columns; groups of four rows are `four` apart
    std::ptrdiff_t four;
    const std::int8_t *weights;
    const std::int32_t *bias;
    std::int32_t *sums; ///< pixels are `pitch` apart, the two rows `row`
    std::ptrdiff_t pitch, row;
    std::int64_t fours, kernel, stride, dilation;
    /// With Requantization::floats or factors, sums of 3x3 windows are requantized in registers.
    const TileRequantizer<1> *requantizer;
    std::uint8_t *results[2]; ///< the rows of the result, or null for a row that it does not have
    std::ptrdiff_t result_pitch;
};

MPSCNN_INLINE __m512i load_quads(const void *from) { return _mm512_loadu_si512(from); }

/// Compute the sums of `pixels` pixels, from x on, for windows of up to four rows and three columns. Store
/// them, or their results if `in_registers`.
template <int pixels, int rows, int stride, bool two_parts, bool in_registers>
MPSCNN_INLINE void add_three_columns(const DepthwisePanel &panel, const __m512i (&weights)[2][2][3],
                                     std::int64_t x) {
    constexpr int bytes = 4 * IntegerWeights::panel;
    __m512i sums[rows][pixels][1];
    const __m512i bias = load_quads(panel.bias);
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p) sums[r][p][0] = bias;
#pragma GCC unroll 12
    for (int column = 0; column < (pixels - 1) * stride + 3; ++column) {
        const __m512i four = load_quads(panel.columns + (x * stride + column) * bytes);
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p) {
            const int v = column - p * stride;
            if (v < 0 || v >= 3) continue;
#pragma GCC unroll 2
            for (int r = 0; r < rows; ++r) {
                sums[r][p][0] = _mm512_dpbusd_epi32(sums[r][p][0], four, weights[0][r][v]);
                if (two_parts) sums[r][p][0] = _mm512_dpbusd_epi32(sums[r][p][0], four, weights[1][r][v]);
            }
        }
    }
    if constexpr (in_registers) {
        panel.requantizer->template store_registers<false>(sums[0], panel.results[0] + x * panel.result_pitch,
                                                           panel.result_pitch);
        if constexpr (rows == 2)
            if (panel.results[1])
                panel.requantizer->template store_registers<false>(
                    sums[1], panel.results[1] + x * panel.result_pitch, panel.result_pitch);
        return;
    }
#pragma GCC unroll 2
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p)
            _mm512_storeu_si512(panel.sums + r * panel.row + (x + p) * panel.pitch, sums[r][p][0]);
}

template <int rows, int stride, bool two_parts, bool in_registers>
__attribute__((noinline)) void add_strip(const DepthwisePanel &panel, std::int64_t outputs) {
    constexpr int bytes = 4 * IntegerWeights::panel, at_once = 4;
    __m512i weights[2][2][3];
#pragma GCC unroll 3
    for (int v = 0; v < 3; ++v)
#pragma GCC unroll 2
        for (int part = 0; part < (two_parts ? 2 : 1); ++part) {
            weights[part][0][v] = load_quads(panel.weights + (part * 3 + v) * bytes);
            weights[part][1][v] = _mm512_slli_epi32(weights[part][0][v], 8);
        }
    std::int64_t x = 0;
    for (; x + at_once <= outputs; x += at_once)
        add_three_columns<at_once, rows, stride, two_parts, in_registers>(panel, weights, x);
    if (x == outputs) return;
    if (outputs > at_once) // overlaps pixels that are already computed
        add_three_columns<at_once, rows, stride, two_parts, in_registers>(panel, weights, outputs - at_once);
    else
        for (; x < outputs; ++x)
            add_three_columns<1, rows, stride, two_parts, in_registers>(panel, weights, x);
}

/// Compute one row of the result for a window of any size.
template <bool two_parts>
__attribute__((noinline)) void add_any_strip(const DepthwisePanel &panel, std::int64_t outputs) {
    constexpr int bytes = 4 * IntegerWeights::panel, at_once = 4;
    const std::ptrdiff_t part = panel.fours * panel.kernel * bytes;
    for (std::int64_t x = 0; x < outputs; x += at_once) {
        const std::int64_t last = min(outputs - x, at_once) - 1;
        __m512i sums[at_once];
#pragma GCC unroll 4
        for (int p = 0; p < at_once; ++p) sums[p] = load_quads(panel.bias);
        const std::int8_t *weights = panel.weights;
        for (std::int64_t q = 0; q < panel.fours; ++q)
            for (std::int64_t v = 0; v < panel.kernel; ++v, weights += bytes) {
                const std::uint8_t *const columns =
                    panel.columns + q * panel.four + (x * panel.stride + v * panel.dilation) * bytes;
#pragma GCC unroll 4
                for (int p = 0; p < at_once; ++p) {
                    const __m512i four = load_quads(columns + min(p, last) * panel.stride * bytes);
                    sums[p] = _mm512_dpbusd_epi32(sums[p], four, load_quads(weights));
                    if (two_parts) sums[p] = _mm512_dpbusd_epi32(sums[p], four, load_quads(weights + part));
                }
            }
        for (int p = 0; p <= last; ++p) _mm512_storeu_si512(panel.sums + (x + p) * panel.pitch, sums[p]);
    }
}

MPSCNN_INLINE bool are_zero(const std::int8_t *bytes, std::ptrdiff_t count) {
    __m512i any = _mm512_setzero_si512();
    for (std::ptrdiff_t i = 0; i < count; i += 64) any = _mm512_or_si512(any, load_quads(bytes + i));
    return !_mm512_test_epi32_mask(any, any);
}

template <int rows, int stride>
MPSCNN_INLINE void add_strip_of(const DepthwisePanel &panel, bool two_parts, std::int64_t outputs) {
    if (panel.requantizer)
        (two_parts ? add_strip<rows, stride, true, true> : add_strip<rows, stride, false, true>)(panel,
                                                                                                 outputs);
    else
        (two_parts ? add_strip<rows, stride, true, false> : add_strip<rows, stride, false, false>)(panel,
                                                                                                   outputs);
}

/// Compute a strip. Return true if its results, and not its sums, are stored.
MPSCNN_INLINE bool add_panel(const DepthwisePanel &panel, std::int64_t rows, std::int64_t outputs) {
    const std::ptrdiff_t part = panel.fours * panel.kernel * 4 * IntegerWeights::panel;
    const bool two_parts = !are_zero(panel.weights + part, part),
               is_three = panel.kernel == 3 && panel.fours == 1 && panel.dilation == 1;
    if (rows == 2 && is_three && panel.stride == 1)
        add_strip_of<2, 1>(panel, two_parts, outputs);
    else if (is_three && panel.stride == 1)
        add_strip_of<1, 1>(panel, two_parts, outputs);
    else if (is_three && panel.stride == 2)
        add_strip_of<1, 2>(panel, two_parts, outputs);
    else {
        (two_parts ? add_any_strip<true> : add_any_strip<false>)(panel, outputs);
        return false;
    }
    return panel.requantizer;
}

MPSCNN_INLINE void depthwise_block(const IntegerConvolutionTask &task, const DepthwiseQuadPlan &plan,
                                   const DepthwiseBlock &block, std::int64_t image, std::int64_t y,
                                   std::uint8_t *scratch) {
    constexpr std::int64_t lanes = IntegerWeights::panel, bytes = 4 * lanes;
    const IntegerWeights &weights = task.weights;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t outputs = block.outputs.size(), columns = columns_of(horizontal, outputs),
                       first = block.outputs.begin * horizontal.stride - horizontal.before,
                       top = y * vertical.stride - vertical.before,
                       rows = min(plan.rows_at_once, task.destination.height - y);
    const std::ptrdiff_t four = plan.columns * bytes, second = plan.fours * four;
    for (std::int64_t q = 0; q < plan.fours; ++q)
        interleave_strip(task, block, image, top + 4 * q * vertical.dilation, first, columns,
                         scratch + q * four, second);
    const int panels = block.channels > lanes ? 2 : 1;
    alignas(64) std::int32_t sums[2 * max_strip * block_channels];
    const std::ptrdiff_t row = max_strip * panels * lanes;
    const std::int64_t part = plan.fours * horizontal.kernel * bytes;
    std::uint8_t *results[2] = {};
    for (std::int64_t r = 0; r < rows; ++r)
        results[r] = bytes_at(task.destination, image, y + r, block.outputs.begin) + block.channel;
    bool is_done = false;
    for (int r = 0; r < panels; ++r) {
        const std::int64_t channel = block.channel + r * lanes;
        const TileRequantizer<1> requantizer(task.requantization, channel, block.channels - r * lanes);
        const DepthwisePanel panel{scratch + r * second,
                                   four,
                                   weights.quads + channel / lanes * 2 * part,
                                   weights.bias + channel,
                                   sums + r * lanes,
                                   panels * lanes,
                                   row,
                                   plan.fours,
                                   horizontal.kernel,
                                   horizontal.stride,
                                   horizontal.dilation,
                                   requantizer.takes_registers() ? &requantizer : nullptr,
                                   {results[0] + r * lanes, rows == 2 ? results[1] + r * lanes : nullptr},
                                   task.destination.pixel_stride};
        is_done = add_panel(panel, plan.rows_at_once, outputs);
    }
    if (is_done) return;
    const auto store = [&](const auto &requantizer) __attribute__((always_inline)) {
        for (std::int64_t r = 0; r < rows; ++r)
            requantizer.store(sums + r * row, outputs, results[r], task.destination.pixel_stride);
    };
    if (panels == 2)
        store(TileRequantizer<2>(task.requantization, block.channel, block.channels));
    else
        store(TileRequantizer<1>(task.requantization, block.channel, block.channels));
}

MPSCNN_INLINE void run_depthwise_quads(const IntegerConvolutionTask &task, const Prepared &prepared,
                                       std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<DepthwiseQuadPlan>();
    const View &to = task.destination;
    auto *const scratch = reinterpret_cast<std::uint8_t *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = plan.split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t strip = 0; strip < plan.strips; ++strip)
                for (std::int64_t i = item.vectors.begin; i < item.vectors.end; ++i) {
                    const std::int64_t channel = i * block_channels;
                    const DepthwiseBlock block{channel, min(to.channels - channel, block_channels),
                                               part_of(to.width, plan.strips, strip)};
                    depthwise_block(task, plan, block, item.image, y * plan.rows_at_once, scratch);
                }
    }
}

} // namespace
} // namespace mpscnn::cpu
