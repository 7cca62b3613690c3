#pragma once

// Products of four bytes by four signed weights, added to 32-bit sums by one instruction, which does not
// saturate: VPDPBUSD.
//
// Registers: sums of 12 pixels x 32 outputs; weights of four inputs are loaded, the pixels' bytes broadcast.
// Inputs of 1x1 convolutions are read where they lie, those of other windows gathered, zero points outside of
// the source. What zero points contribute is part of the bias; that of weights, too, but for one number
// of each pixel.

#include "cpu/isa/simd_avx512.h"
#include "cpu/kernels/integer_requantization.h"

namespace mpscnn::cpu {
namespace {

struct QuadPlan {
    std::int64_t pixels, block, blocks, panel_parts;
    bool gathers;
};

constexpr int most_quad_pixels = 12, quad_tiles = 4; ///< the latter in a block

MPSCNN_INLINE std::int64_t quad_row_bytes(const IntegerWeights &weights) { return 4 * weights.quad_steps(); }

/// Whether pixels of the result read pixels of the source, which lie at equal distances.
MPSCNN_INLINE bool reads_in_place(const IntegerConvolutionTask &task) {
    const ConstView &from = task.source;
    const auto is_pixel = [](const WindowAxis &axis) __attribute__((always_inline)) {
        return axis.kernel == 1 && axis.stride == 1 && axis.before == 0;
    };
    return is_pixel(task.vertical) && is_pixel(task.horizontal) && task.weights.inputs % 4 == 0 &&
           from.height == task.destination.height && from.width == task.destination.width &&
           (from.height == 1 || from.row_stride == from.width * from.pixel_stride) &&
           (from.batch == 1 || from.image_stride == from.height * from.width * from.pixel_stride);
}

MPSCNN_INLINE Prepared prepare_quads(const IntegerConvolutionTask &task, const Planning &planning) {
    const View &to = task.destination;
    QuadPlan plan{};
    plan.pixels = to.batch * to.height * to.width;
    plan.block = min(plan.pixels, quad_tiles * most_quad_pixels);
    plan.blocks = divide_up(plan.pixels, plan.block);
    const std::int64_t wanted = planning.threads == 1 ? 1 : 3 * planning.threads;
    plan.panel_parts = clamped(divide_up(wanted, plan.blocks), 1, divide_up(task.weights.panels(), 2));
    plan.gathers = !reads_in_place(task);
    const std::int64_t scratch = plan.gathers ? plan.block * quad_row_bytes(task.weights) + 64 : 0;
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

/// What one pixel of the result at (y, x) reads, and zeros up to a multiple of 4.
MPSCNN_INLINE void gather_bytes(const IntegerConvolutionTask &task, std::int64_t image, std::int64_t y,
                                std::int64_t x, std::uint8_t *row) {
    const ConstView &from = task.source;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t inputs = task.weights.inputs, width = horizontal.kernel * inputs,
                       first = x * horizontal.stride - horizontal.before;
    const bool is_run = horizontal.dilation == 1 && from.pixel_stride == inputs && first >= 0 &&
                        first + horizontal.kernel <= from.width;
    for (std::int64_t u = 0; u < vertical.kernel; ++u) {
        const std::int64_t at_y = y * vertical.stride - vertical.before + u * vertical.dilation;
        if (at_y < 0 || at_y >= from.height) {
            fill_bytes(row, task.source_zero, width);
            row += width;
        } else if (is_run) {
            copy_bytes(row, bytes_at(from, image, at_y, first), width);
            row += width;
        } else {
            for (std::int64_t v = 0; v < horizontal.kernel; ++v, row += inputs) {
                const std::int64_t at_x = first + v * horizontal.dilation;
                if (at_x < 0 || at_x >= from.width)
                    fill_bytes(row, task.source_zero, inputs);
                else
                    copy_bytes(row, bytes_at(from, image, at_y, at_x), inputs);
            }
        }
    }
    fill_bytes(row, 0, 1);
}

MPSCNN_INLINE std::int32_t sum_of_bytes(const std::uint8_t *bytes, std::int64_t count) {
    const __m512i one = _mm512_set1_epi8(1);
    __m512i sums = _mm512_setzero_si512();
    for (; count > 0; count -= 64, bytes += 64) {
        const __mmask64 kept = count >= 64 ? ~std::uint64_t{0} : ~std::uint64_t{0} >> (64 - count);
        sums = _mm512_dpbusd_epi32(sums, _mm512_maskz_loadu_epi8(kept, bytes), one);
    }
    return _mm512_reduce_add_epi32(sums);
}

/// Sums of `pixels` rows, `pitch` bytes apart, for panels side by side.
template <int pixels, int panels>
__attribute__((noinline)) void add_quads(const std::uint8_t *rows, std::ptrdiff_t pitch, std::int64_t steps,
                                         const std::int8_t *weights, const std::int32_t *bias,
                                         const std::int32_t *offsets, std::int32_t *sums) {
    constexpr int lanes = IntegerWeights::panel, of_pointer = 3; // what an address can add
    constexpr int pointers = (pixels + of_pointer - 1) / of_pointer;
    const std::uint8_t *row[pointers];
#pragma GCC unroll 4
    for (int i = 0; i < pointers; ++i) row[i] = rows + i * of_pointer * pitch;
    __m512i totals[pixels][panels];
#pragma GCC unroll 16
    for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r)
            totals[p][r] =
                _mm512_add_epi32(_mm512_loadu_si512(bias + r * lanes), _mm512_set1_epi32(offsets[p]));
    const std::ptrdiff_t panel_bytes = steps * 4 * lanes;
    for (std::int64_t k = 0; k < steps; ++k, weights += 4 * lanes) {
        __m512i own[panels];
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r) own[r] = _mm512_loadu_si512(weights + r * panel_bytes);
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) {
            std::int32_t four;
            __builtin_memcpy(&four, row[p / of_pointer] + p % of_pointer * pitch, sizeof four);
            const __m512i bytes = _mm512_set1_epi32(four);
#pragma GCC unroll 2
            for (int r = 0; r < panels; ++r) totals[p][r] = _mm512_dpbusd_epi32(totals[p][r], bytes, own[r]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < pointers; ++i) row[i] += 4;
    }
#pragma GCC unroll 16
    for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 2
        for (int r = 0; r < panels; ++r) _mm512_storeu_si512(sums + (p * panels + r) * lanes, totals[p][r]);
}

/// The pixels of a block.
struct QuadRows {
    const std::uint8_t *bytes;
    std::ptrdiff_t pitch;
    std::int64_t count;
    std::int32_t offsets[quad_tiles * most_quad_pixels];
    std::uint8_t *results[quad_tiles * most_quad_pixels];
};

/// Of a block for one or two panels, the largest tiles first.
template <int panels>
MPSCNN_INLINE void multiply_quads(const IntegerConvolutionTask &task, const QuadRows &rows,
                                  std::int64_t panel) {
    const IntegerWeights &weights = task.weights;
    constexpr std::int64_t lanes = IntegerWeights::panel;
    const std::int64_t steps = weights.quad_steps(), output = panel * lanes;
    const PanelRequantizer first(task.requantization, output),
        last(task.requantization, output + (panels - 1) * lanes);
    const std::int64_t left = weights.outputs - output - (panels - 1) * lanes; // of the last panel
    std::int32_t sums[most_quad_pixels * panels * lanes];
    std::int64_t done = 0;
    const auto add = [&]<int pixels>() __attribute__((always_inline)) {
        while (rows.count - done >= pixels) {
            add_quads<pixels, panels>(rows.bytes + done * rows.pitch, rows.pitch, steps,
                                      weights.quads + output * steps * 4, weights.bias + output,
                                      rows.offsets + done, sums);
            for (std::int64_t p = 0; p < pixels; ++p, ++done) {
                std::uint8_t *const result = rows.results[done] + output;
                if (panels == 2) first.store(sums + 2 * p * lanes, lanes, result);
                last.store(sums + (panels * p + panels - 1) * lanes, min(left, lanes),
                           result + (panels - 1) * lanes);
            }
        }
    };
    add.template operator()<most_quad_pixels>();
    add.template operator()<6>();
    add.template operator()<3>();
    add.template operator()<2>();
    add.template operator()<1>();
}

MPSCNN_INLINE void run_quads(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<QuadPlan>();
    const View &to = task.destination;
    const std::int64_t bytes = quad_row_bytes(task.weights), pairs = divide_up(task.weights.panels(), 2);
    auto *const scratch = reinterpret_cast<std::uint8_t *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t start = index / plan.panel_parts * plan.block;
        QuadRows rows;
        rows.count = min(plan.block, plan.pixels - start);
        rows.pitch = plan.gathers ? bytes : task.source.pixel_stride;
        rows.bytes = scratch;
        for (std::int64_t i = 0; i < rows.count; ++i) {
            const std::int64_t pixel = start + i, x = pixel % to.width, y = pixel / to.width % to.height,
                               image = pixel / (to.width * to.height);
            rows.results[i] = bytes_at(to, image, y, x);
            if (plan.gathers)
                gather_bytes(task, image, y, x, scratch + i * bytes);
            else if (i == 0)
                rows.bytes = bytes_at(task.source, image, y, x);
        }
        for (std::int64_t i = 0; i < rows.count; ++i)
            rows.offsets[i] =
                task.weights.quad_offset == 0
                    ? 0
                    : static_cast<std::int32_t>(
                          static_cast<std::uint32_t>(task.weights.quad_offset) *
                          static_cast<std::uint32_t>(sum_of_bytes(rows.bytes + i * rows.pitch, bytes)));
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
