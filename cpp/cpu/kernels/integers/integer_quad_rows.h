#pragma once

// Blocks of pixels for kernels that multiply four bytes at a time.
//
// The inputs of a pixel are runs of contiguous bytes at equal distances, one run for each row of the window,
// or for each tap. They are read in place. If windows reach beyond the source, they are read from a copy of
// its rows that has zero points around them. The bias includes the contribution of zero points.

#include "cpu/kernels/integers/integer_bytes.h"

#if defined(__AVX512BW__)
#include <immintrin.h>
#endif

namespace mpscnn::cpu {
namespace {

/// The bytes of a panel's weights for one step, which multiplies four inputs.
constexpr std::int64_t step_bytes = 4 * IntegerWeights::panel;

/// The plan: items are blocks of pixels, or rows of the result (`by_rows`), times parts of the panels.
struct QuadPlan {
    std::int64_t pixels, blocks, panel_parts;
    bool by_rows, copies;
    std::ptrdiff_t row_bytes; ///< bytes of a copied row
    std::int64_t places;      ///< the place of QuadRows::places in scratch memory
};

/// The approximate size of a block: a number of tiles, and pixels in each.
struct QuadBlock {
    std::int64_t tile_pixels, tiles;
};

/// Return true if each result pixel reads one source pixel, so that nothing need be copied, and the number of
/// inputs is a multiple of four.
MPSCNN_INLINE bool reads_in_place(const IntegerConvolutionTask &task) {
    const auto inside =
        [](const WindowAxis &axis, std::int64_t size, std::int64_t results) __attribute__((always_inline)) {
        return axis.kernel == 1 && axis.before == 0 && (results - 1) * axis.stride < size;
    };
    return task.weights.inputs % 4 == 0 &&
           inside(task.vertical, task.source.height, task.destination.height) &&
           inside(task.horizontal, task.source.width, task.destination.width);
}

/// Return true if the distance between adjacent pixels is the same everywhere, also from row to row and image
/// to image.
template <class ViewType> MPSCNN_INLINE bool has_even_pixels(const ViewType &view) {
    return (view.height == 1 || view.row_stride == view.width * view.pixel_stride) &&
           (view.batch == 1 || view.image_stride == view.height * view.width * view.pixel_stride);
}

MPSCNN_INLINE Prepared prepare_quads(const IntegerConvolutionTask &task, const Planning &planning,
                                     const QuadBlock &block) {
    const View &to = task.destination;
    constexpr std::int64_t behind = 64; // bytes that may be read and written after a row
    QuadPlan plan{};
    plan.pixels = to.batch * to.height * to.width;
    plan.copies = !reads_in_place(task);
    plan.by_rows = plan.copies || task.vertical.stride != 1 || task.horizontal.stride != 1 ||
                   task.source.height != to.height || task.source.width != to.width ||
                   !has_even_pixels(task.source) || !has_even_pixels(to);
    const std::int64_t tiles = divide_up(plan.pixels, block.tile_pixels);
    plan.blocks = plan.by_rows ? to.batch * to.height : max(1, (tiles + block.tiles / 2) / block.tiles);
    const std::int64_t wanted = planning.threads == 1 ? 1 : 3 * planning.threads;
    plan.panel_parts = clamped(divide_up(wanted, plan.blocks), 1, divide_up(task.weights.panels(), 2));
    std::int64_t scratch = 0;
    if (plan.copies) {
        plan.row_bytes = round_up(
            columns_of(task.horizontal, task.destination.width) * task.weights.inputs + behind, behind);
        scratch = task.vertical.kernel * plan.row_bytes + behind;
    }
    if (task.weights.step_order && task.weights.runs > 1) {
        plan.places = round_up(scratch, behind);
        scratch =
            plan.places + 2 * task.weights.quad_steps() * static_cast<std::int64_t>(sizeof(std::int32_t));
    }
    return planning.keep(plan, plan.blocks * plan.panel_parts, static_cast<std::size_t>(scratch));
}

/// Copy `count` bytes. Up to 63 more may be written.
MPSCNN_INLINE void copy_bytes(std::uint8_t *to, const std::uint8_t *from, std::int64_t count) {
#if defined(__AVX512BW__)
    for (; count > 64; count -= 64, to += 64, from += 64) _mm512_storeu_si512(to, _mm512_loadu_si512(from));
    const __mmask64 kept = count > 0 ? ~std::uint64_t{0} >> (64 - count) : 0;
    _mm512_storeu_si512(to, _mm512_maskz_loadu_epi8(kept, from));
#else
    __builtin_memcpy(to, from, static_cast<std::size_t>(count));
#endif
}
MPSCNN_INLINE void fill_bytes(std::uint8_t *to, std::int32_t value, std::int64_t count) {
#if defined(__AVX512BW__)
    for (; count > 0; count -= 64, to += 64)
        _mm512_storeu_si512(to, _mm512_set1_epi8(static_cast<char>(value)));
#else
    __builtin_memset(to, value, static_cast<std::size_t>(count));
#endif
}

/// Copy the source rows that row y of the result reads, with zero points around them. Copied rows are `pitch`
/// bytes apart.
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

/// The addresses of a block's inputs and results.
struct QuadRows {
    const std::uint8_t *bytes;
    std::ptrdiff_t pitch; ///< bytes from one pixel's inputs to the next one's
    /// A run is a contiguous piece of a row of the window. `run` is the bytes from one run to the next within
    /// a row, and `row` is the bytes from one row to the next.
    std::ptrdiff_t run, row;
    std::int64_t runs_of_row, rows, run_steps;
    std::uint8_t *result;
    std::ptrdiff_t result_pitch;
    std::int64_t count;
    /// With IntegerWeights::step_order and several runs: the places of all steps in a pixel's inputs, and
    /// memory for as many places.
    std::int32_t *places;
};

/// Return the offset in a pixel's inputs of the four bytes that a step multiplies.
MPSCNN_INLINE std::ptrdiff_t place_of_step(const QuadRows &rows, std::int64_t run_steps, std::int64_t step) {
    const std::int64_t run = step / run_steps;
    return run / rows.runs_of_row * rows.row + run % rows.runs_of_row * rows.run + step % run_steps * 4;
}

MPSCNN_INLINE QuadRows quad_rows(const IntegerConvolutionTask &task, const QuadPlan &plan, std::int64_t block,
                                 std::uint8_t *scratch) {
    const View &to = task.destination;
    const std::int64_t inputs = task.weights.inputs;
    QuadRows rows{};
    rows.runs_of_row = rows.rows = 1;
    rows.run_steps = task.weights.run_steps();
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

/// Call multiply(rows, panels) for each item, with the addresses of a block of pixels and a range of panels.
template <class Multiply>
MPSCNN_INLINE void for_each_block(const IntegerConvolutionTask &task, const Prepared &prepared,
                                  std::int64_t begin, std::int64_t end, Worker &worker, Multiply multiply) {
    const auto &plan = prepared.plan_as<QuadPlan>();
    auto *const scratch = reinterpret_cast<std::uint8_t *>(worker.scratch);
    const std::int64_t panels = task.weights.panels(), pairs = divide_up(panels, 2);
    std::int64_t copied = -1;
    std::int32_t *places = nullptr;
    if (task.weights.step_order && task.weights.runs > 1) {
        places = reinterpret_cast<std::int32_t *>(worker.scratch + plan.places);
        const QuadRows rows = quad_rows(task, plan, begin / plan.panel_parts, scratch);
        for (std::int64_t i = 0; i < task.weights.quad_steps(); ++i)
            places[i] = static_cast<std::int32_t>(place_of_step(rows, rows.run_steps, i));
    }
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t block = index / plan.panel_parts;
        if (plan.copies && block != copied)
            copy_rows(task, block / task.destination.height, block % task.destination.height, plan.row_bytes,
                      scratch);
        copied = block;
        const Range own = part_of(pairs, plan.panel_parts, index % plan.panel_parts);
        QuadRows rows = quad_rows(task, plan, block, scratch);
        rows.places = places;
        multiply(rows, Range{2 * own.begin, min(2 * own.end, panels)});
    }
}

} // namespace
} // namespace mpscnn::cpu
