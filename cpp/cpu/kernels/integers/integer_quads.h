#pragma once

// Convolutions and dense layers with an instruction that multiplies four bytes at a time.
//
// Registers hold the sums of pixels x panels (see QuadRegisters). Weights of four inputs are loaded, and the
// pixels' bytes are broadcast. A weight beyond 8 bits is the sum of two numbers. The second numbers, which
// few weights have, are multiplied in additional steps.

#include <type_traits>

#include "cpu/isa/simd.h"
#include "cpu/kernels/integers/integer_quad_registers.h"
#include "cpu/kernels/integers/integer_quad_rows.h"
#include "cpu/kernels/integers/integer_tile_requantization.h"

namespace mpscnn::cpu {
namespace {

constexpr QuadBlock quad_block{QuadRegisters::pixels, 4};

/// Compute the sums of `pixels` pixels, from pixel `first` on, for `panels` panels from `panel` on. Store
/// them in `sums`, or requantize them in registers if `sums` is a TileRequantizer.
template <int pixels, int panels, class Sums>
__attribute__((noinline)) void add_quads(const QuadRows &rows, std::int64_t first,
                                         const IntegerWeights &weights, std::int64_t panel, Sums &sums) {
    using Registers = QuadRegisters;
    using reg = typename Registers::reg;
    constexpr int of_panel = Registers::of_panel, registers = panels * of_panel,
                  lanes = IntegerWeights::panel / of_panel;
    // One pointer is enough for three pixels, because an address can add 0, 1 or 2 times the pitch to it.
    constexpr int of_pointer = 3, pointers = (pixels + of_pointer - 1) / of_pointer;
    const std::int64_t run_steps = weights.run_steps();
    const std::ptrdiff_t pitch = rows.pitch, panel_bytes = weights.quad_steps() * step_bytes;
    const std::int8_t *values = weights.quads + panel * panel_bytes;
    reg totals[pixels][registers];
#pragma GCC unroll 8
    for (int r = 0; r < registers; ++r) {
        const reg bias = Registers::load(weights.bias + panel * IntegerWeights::panel + r * lanes);
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p) totals[p][r] = bias;
    }
    const std::uint8_t *const begin = rows.bytes + first * pitch;
    for (std::int64_t u = 0; u < rows.rows; ++u)
        for (std::int64_t v = 0; v < rows.runs_of_row; ++v) {
            const std::uint8_t *row[pointers];
#pragma GCC unroll 4
            for (int i = 0; i < pointers; ++i)
                row[i] = begin + u * rows.row + v * rows.run + i * of_pointer * pitch;
            for (std::int64_t k = 0; k < run_steps; ++k, values += step_bytes) {
                decltype(Registers::weights(values)) own[registers];
#pragma GCC unroll 8
                for (int r = 0; r < registers; ++r)
                    own[r] =
                        Registers::weights(values + r / of_panel * panel_bytes + r % of_panel * 4 * lanes);
#pragma GCC unroll 16
                for (int p = 0; p < pixels; ++p) {
                    const auto bytes = Registers::broadcast(row[p / of_pointer] + p % of_pointer * pitch);
#pragma GCC unroll 8
                    for (int r = 0; r < registers; ++r)
                        totals[p][r] = Registers::add(totals[p][r], bytes, own[r]);
                }
#pragma GCC unroll 4
                for (int i = 0; i < pointers; ++i) row[i] += 4;
            }
        }
    if (weights.rest_first)
#pragma GCC unroll 2
        for (int panel_of = 0; panel_of < panels; ++panel_of)
            for (std::int32_t i = weights.rest_first[panel + panel_of];
                 i < weights.rest_first[panel + panel_of + 1]; ++i) {
                const std::uint8_t *const at = begin + place_of_step(rows, run_steps, weights.rest_steps[i]);
#pragma GCC unroll 4
                for (int r = 0; r < of_panel; ++r) {
                    const auto own = Registers::weights(weights.rest_quads + i * step_bytes + r * 4 * lanes);
#pragma GCC unroll 16
                    for (int p = 0; p < pixels; ++p) {
                        reg &total = totals[p][panel_of * of_panel + r];
                        total = Registers::add(total, Registers::broadcast(at + p * pitch), own);
                    }
                }
            }
    if constexpr (std::is_class_v<Sums>) {
        // Let the compiler allocate registers for the products and for the requantization separately.
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 8
            for (int r = 0; r < registers; ++r) keep_in_register(totals[p][r]);
        sums.template store_registers<true>(
            totals, rows.result + first * rows.result_pitch + panel * IntegerWeights::panel,
            rows.result_pitch);
        return;
    } else
#pragma GCC unroll 16
        for (int p = 0; p < pixels; ++p)
#pragma GCC unroll 8
            for (int r = 0; r < registers; ++r)
                Registers::store(sums + (p * registers + r) * lanes, totals[p][r]);
}

/// A pointer to add_quads() for a certain number of pixels.
template <class Sums>
using AddQuads = void (*)(const QuadRows &, std::int64_t, const IntegerWeights &, std::int64_t, Sums &);
template <int panels, class Sums> MPSCNN_INLINE AddQuads<Sums> add_quads_of(std::int64_t pixels) {
    constexpr int max_pixels = QuadRegisters::pixels;
    return [&]<int... i>(std::integer_sequence<int, i...>) {
        static constexpr AddQuads<Sums> add[] = {add_quads<i + 1, panels, Sums>...};
        return add[pixels - 1];
    }(std::make_integer_sequence<int, max_pixels>());
}

/// Compute one or two panels for a block of pixels, in tiles whose numbers of pixels differ by at most one.
template <int panels>
MPSCNN_INLINE void multiply_quads(const IntegerConvolutionTask &task, const QuadRows &rows,
                                  std::int64_t panel) {
    constexpr std::int64_t lanes = IntegerWeights::panel, max_pixels = QuadRegisters::pixels;
    const TileRequantizer<panels> requantizer(task.requantization, panel * lanes,
                                              task.weights.outputs - panel * lanes);
    alignas(64) std::int32_t sums[max_pixels * panels * lanes];
    const std::int64_t tiles = divide_up(rows.count, max_pixels);
    for (std::int64_t i = 0; i < tiles; ++i) {
        const Range own = part_of(rows.count, tiles, i);
        if constexpr (TileRequantizer<panels>::has_factors)
            if (requantizer.takes_floats()) {
                add_quads_of<panels, const TileRequantizer<panels>>(own.size())(rows, own.begin, task.weights,
                                                                                panel, requantizer);
                continue;
            }
        add_quads_of<panels, std::int32_t[max_pixels * panels * lanes]>(own.size())(
            rows, own.begin, task.weights, panel, sums);
        requantizer.store(sums, own.size(), rows.result + own.begin * rows.result_pitch + panel * lanes,
                          rows.result_pitch);
    }
}

MPSCNN_INLINE void run_quads(const IntegerConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &worker) {
    constexpr int max_panels = QuadRegisters::panels;
    for_each_block(task, prepared, begin, end, worker, [&](const QuadRows &rows, Range panels) {
        std::int64_t panel = panels.begin;
        for (; panel + max_panels <= panels.end; panel += max_panels)
            multiply_quads<max_panels>(task, rows, panel);
        for (; panel < panels.end; ++panel) multiply_quads<1>(task, rows, panel);
    });
}

} // namespace
} // namespace mpscnn::cpu
