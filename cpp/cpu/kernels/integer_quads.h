#pragma once

// Products of four bytes by four signed weights, added to 32-bit sums by one instruction, which does not
// saturate: VPDPBUSD.
//
// Registers: sums of up to 12 pixels x 32 outputs; weights of four inputs are loaded, the pixels' bytes
// broadcast. The inputs of a pixel are runs of bytes at equal distances, a row of the window each. They are
// read where they lie, or, where windows reach beyond the source, from a copy of the rows with zero points
// around. What zero points contribute is part of the bias. Weights beyond 8 bits are sums of two: the few
// second ones are multiplied in steps of their own.

#include "cpu/isa/simd_avx512.h"
#include "cpu/kernels/integer_tile_requantization.h"

namespace mpscnn::cpu {
namespace {

/// Items are tiles of pixels, or rows of the result, by parts of the panels.
struct QuadPlan {
    std::int64_t pixels, blocks, panel_parts;
    bool by_rows, copies;
    std::ptrdiff_t row_bytes; ///< of a copied row
};

constexpr int most_quad_pixels = 12;
constexpr std::int64_t quad_tiles = 4; ///< about as many in a block

/// Whether pixels of the result read pixels of the source, whose inputs are whole fours.
MPSCNN_INLINE bool reads_in_place(const IntegerConvolutionTask &task) {
    const auto inside =
        [](const WindowAxis &axis, std::int64_t size, std::int64_t results) __attribute__((always_inline)) {
        return axis.kernel == 1 && axis.before == 0 && (results - 1) * axis.stride < size;
    };
    return task.weights.inputs % 4 == 0 &&
           inside(task.vertical, task.source.height, task.destination.height) &&
           inside(task.horizontal, task.source.width, task.destination.width);
}

/// Whether all pixels lie at equal distances.
template <class ViewType> MPSCNN_INLINE bool has_even_pixels(const ViewType &view) {
    return (view.height == 1 || view.row_stride == view.width * view.pixel_stride) &&
           (view.batch == 1 || view.image_stride == view.height * view.width * view.pixel_stride);
}

MPSCNN_INLINE Prepared prepare_quads(const IntegerConvolutionTask &task, const Planning &planning) {
    const View &to = task.destination;
    constexpr std::int64_t behind = 64; // what is read and written behind a row
    QuadPlan plan{};
    plan.pixels = to.batch * to.height * to.width;
    plan.copies = !reads_in_place(task);
    plan.by_rows = plan.copies || task.vertical.stride != 1 || task.horizontal.stride != 1 ||
                   task.source.height != to.height || task.source.width != to.width ||
                   !has_even_pixels(task.source) || !has_even_pixels(to);
    const std::int64_t tiles = divide_up(plan.pixels, most_quad_pixels);
    plan.blocks = plan.by_rows ? to.batch * to.height : max(1, (tiles + quad_tiles / 2) / quad_tiles);
    const std::int64_t wanted = planning.threads == 1 ? 1 : 3 * planning.threads;
    plan.panel_parts = clamped(divide_up(wanted, plan.blocks), 1, divide_up(task.weights.panels(), 2));
    std::int64_t scratch = 0;
    if (plan.copies) {
        plan.row_bytes = round_up(
            columns_of(task.horizontal, task.destination.width) * task.weights.inputs + behind, behind);
        scratch = task.vertical.kernel * plan.row_bytes + behind;
    }
    return planning.keep(plan, plan.blocks * plan.panel_parts, static_cast<std::size_t>(scratch));
}

/// Writes up to 63 bytes behind the last.
MPSCNN_INLINE void copy_bytes(std::uint8_t *to, const std::uint8_t *from, std::int64_t count) {
    for (; count > 64; count -= 64, to += 64, from += 64) _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    const __mmask64 kept = count > 0 ? ~std::uint64_t{0} >> (64 - count) : 0;
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi8(kept, from));
}
MPSCNN_INLINE void fill_bytes(std::uint8_t *to, std::int32_t value, std::int64_t count) {
    for (; count > 0; count -= 64, to += 64)
        _mm512_storeu_si512(to, _mm512_set1_epi8(static_cast<char>(value)));
}

/// The source's rows that row y of the result reads, `pitch` bytes apart.
MPSCNN_INLINE void copy_rows(const IntegerConvolutionTask &task, std::int64_t image, std::int64_t y,
                             std::ptrdiff_t pitch, std::uint8_t *rows) {
    const ConstView &from = task.source;
    const std::int64_t inputs = task.weights.inputs,
                       columns = columns_of(task.horizontal, task.destination.width),
                       left = clamped(task.horizontal.before, 0, columns),
                       first = max(-task.horizontal.before, 0),
                       inside = clamped(columns - left, 0, max(from.width - first, 0)),
                       right = columns - left - inside;
    for (std::int64_t u = 0; u < task.vertical.kernel; ++u, rows += pitch) {
        const std::int64_t at = y * task.vertical.stride - task.vertical.before + u * task.vertical.dilation;
        if (at < 0 || at >= from.height) {
            fill_bytes(rows, task.source_zero, columns * inputs);
            continue;
        }
        fill_bytes(rows, task.source_zero, left * inputs);
        std::uint8_t *const own = rows + left * inputs;
        if (from.pixel_stride == inputs)
            copy_bytes(own, bytes_at(from, image, at, first), inside * inputs);
        else
            for (std::int64_t x = 0; x < inside; ++x)
                copy_bytes(own + x * inputs, bytes_at(from, image, at, first + x), inputs);
        fill_bytes(own + inside * inputs, task.source_zero, right * inputs);
    }
}

/// The pixels of a block, and where their results go.
struct QuadRows {
    const std::uint8_t *bytes;
    std::ptrdiff_t pitch; ///< from pixel to pixel
    /// From run to run: the first ones of a row of the window, then of rows.
    std::ptrdiff_t run, row;
    std::int64_t runs_of_row, rows;
    std::uint8_t *result;
    std::ptrdiff_t result_pitch;
    std::int64_t count;
};

/// Where a step of a pixel's inputs begins.
MPSCNN_INLINE std::ptrdiff_t place_of_step(const QuadRows &rows, std::int64_t run_steps, std::int64_t step) {
    const std::int64_t run = step / run_steps;
    return run / rows.runs_of_row * rows.row + run % rows.runs_of_row * rows.run + step % run_steps * 4;
}

/// Sums of `pixels` pixels from `first` on for the panels from `panel` on.
template <int pixels, int panels>
__attribute__((noinline)) void add_quads(const QuadRows &rows, std::int64_t first,
                                         const IntegerWeights &weights, std::int64_t panel,
                                         std::int32_t *sums) {
    constexpr int lanes = IntegerWeights::panel, of_pointer = 3; // what an address can add
    constexpr int pointers = (pixels + of_pointer - 1) / of_pointer;
    const std::int64_t run_steps = weights.run_steps();
    const std::ptrdiff_t pitch = rows.pitch, panel_bytes = weights.quad_steps() * 4 * lanes;
    const std::int8_t *values = weights.quads + panel * panel_bytes;
    __m512i totals[pixels][panels];
#pragma GCC unroll 2
    for (int r = 0; r < panels; ++r) {
        const __m512i bias = _mm512_loadu_si512(weights.bias + (panel + r) * lanes);
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) totals[p][r] = bias;
    }
    const std::uint8_t *const begin = rows.bytes + first * pitch;
    const auto add = [&](const std::uint8_t *const(&row)[pointers], const __m512i(&own)[panels])
        __attribute__((always_inline)) {
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) {
            std::int32_t four;
            __builtin_memcpy(&four, row[p / of_pointer] + p % of_pointer * pitch, sizeof four);
            const __m512i bytes = _mm512_set1_epi32(four);
#pragma GCC unroll 2
            for (int r = 0; r < panels; ++r) totals[p][r] = _mm512_dpbusd_epi32(totals[p][r], bytes, own[r]);
        }
    };
    for (std::int64_t u = 0; u < rows.rows; ++u)
        for (std::int64_t v = 0; v < rows.runs_of_row; ++v) {
            const std::uint8_t *row[pointers];
#pragma GCC unroll 4
            for (int i = 0; i < pointers; ++i)
                row[i] = begin + u * rows.row + v * rows.run + i * of_pointer * pitch;
            for (std::int64_t k = 0; k < run_steps; ++k, values += 4 * lanes) {
                __m512i own[panels];
#pragma GCC unroll 2
                for (int r = 0; r < panels; ++r) own[r] = _mm512_loadu_si512(values + r * panel_bytes);
                add(row, own);
#pragma GCC unroll 4
                for (int i = 0; i < pointers; ++i) row[i] += 4;
            }
        }
    if (weights.rest_first)
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r)
            for (std::int32_t i = weights.rest_first[panel + r]; i < weights.rest_first[panel + r + 1]; ++i) {
                const std::uint8_t *const at = begin + place_of_step(rows, run_steps, weights.rest_steps[i]);
                const __m512i own = _mm512_loadu_si512(weights.rest_quads + i * 4 * lanes);
#pragma GCC unroll 16
                for (int p = 0; p < pixels; ++p) {
                    std::int32_t four;
                    __builtin_memcpy(&four, at + p * pitch, sizeof four);
                    totals[p][r] = _mm512_dpbusd_epi32(totals[p][r], _mm512_set1_epi32(four), own);
                }
            }
#pragma GCC unroll 16
    for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r) _mm512_storeu_si512(sums + (p * panels + r) * lanes, totals[p][r]);
}

/// Of a block for one or two panels, in tiles whose sizes differ by one at most.
template <int panels>
MPSCNN_INLINE void multiply_quads(const IntegerConvolutionTask &task, const QuadRows &rows,
                                  std::int64_t panel) {
    constexpr std::int64_t lanes = IntegerWeights::panel;
    using Add =
        void (*)(const QuadRows &, std::int64_t, const IntegerWeights &, std::int64_t, std::int32_t *);
    static constexpr Add add[most_quad_pixels] = {
        add_quads<1, panels>, add_quads<2, panels>,  add_quads<3, panels>,  add_quads<4, panels>,
        add_quads<5, panels>, add_quads<6, panels>,  add_quads<7, panels>,  add_quads<8, panels>,
        add_quads<9, panels>, add_quads<10, panels>, add_quads<11, panels>, add_quads<12, panels>};
    const TileRequantizer<panels> requantizer(task.requantization, panel * lanes,
                                              task.weights.outputs - panel * lanes);
    alignas(64) std::int32_t sums[most_quad_pixels * panels * lanes];
    const std::int64_t tiles = divide_up(rows.count, most_quad_pixels);
    for (std::int64_t i = 0; i < tiles; ++i) {
        const Range own = part_of(rows.count, tiles, i);
        add[own.size() - 1](rows, own.begin, task.weights, panel, sums);
        requantizer.store(sums, own.size(), rows.result + own.begin * rows.result_pitch + panel * lanes,
                          rows.result_pitch);
    }
}

MPSCNN_INLINE QuadRows quad_rows(const IntegerConvolutionTask &task, const QuadPlan &plan, std::int64_t block,
                                 std::uint8_t *scratch) {
    const View &to = task.destination;
    const std::int64_t inputs = task.weights.inputs;
    QuadRows rows{};
    rows.runs_of_row = rows.rows = 1;
    rows.result_pitch = to.pixel_stride;
    if (!plan.by_rows) {
        const Range own = part_of(plan.pixels, plan.blocks, block);
        rows.pitch = task.source.pixel_stride;
        rows.bytes = bytes_at(task.source, 0, 0, 0) + own.begin * rows.pitch;
        rows.result = bytes_at(to, 0, 0, 0) + own.begin * rows.result_pitch;
        rows.count = own.size();
        return rows;
    }
    const std::int64_t image = block / to.height, y = block % to.height;
    rows.result = bytes_at(to, image, y, 0);
    rows.count = to.width;
    if (plan.copies) {
        rows.bytes = scratch;
        rows.pitch = task.horizontal.stride * inputs;
        rows.row = plan.row_bytes;
        rows.rows = task.vertical.kernel;
        rows.run = task.horizontal.dilation * inputs;
        rows.runs_of_row = task.weights.runs / rows.rows;
    } else {
        rows.bytes = bytes_at(task.source, image, y * task.vertical.stride, 0);
        rows.pitch = task.horizontal.stride * task.source.pixel_stride;
    }
    return rows;
}

MPSCNN_INLINE void run_quads(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<QuadPlan>();
    auto *const scratch = reinterpret_cast<std::uint8_t *>(worker.scratch);
    const std::int64_t pairs = divide_up(task.weights.panels(), 2);
    std::int64_t copied = -1;
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t block = index / plan.panel_parts;
        if (plan.copies && block != copied)
            copy_rows(task, block / task.destination.height, block % task.destination.height, plan.row_bytes,
                      scratch);
        copied = block;
        const QuadRows rows = quad_rows(task, plan, block, scratch);
        const Range own = part_of(pairs, plan.panel_parts, index % plan.panel_parts);
        for (std::int64_t pair = own.begin; pair < own.end; ++pair)
            if (2 * pair + 1 < task.weights.panels())
                multiply_quads<2>(task, rows, 2 * pair);
            else
                multiply_quads<1>(task, rows, 2 * pair);
    }
}

} // namespace
} // namespace mpscnn::cpu
