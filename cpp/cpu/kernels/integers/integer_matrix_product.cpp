// Products of two matrices of integers that are both tensors, as in attention. Each work item is a panel of
// 16 columns of one product. It packs these columns of the second matrix into pairs, and widens the rows of
// the first one tile after the other. The speed is limited by the dot products of pairs.

#include <algorithm>

#include "cpu/isa/instance.h"
#include "cpu/kernels/integers/integer_pairs.h"
#include "cpu/kernels/integers/integer_requantization.h"
#include "cpu/kernels/integers/integer_widening.h"

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t panel_columns = IntegerWeights::panel;

struct IntegerMatrixPlan {
    std::int64_t rows, columns, depth; ///< extents of one product
    std::int64_t panels, pitch;        ///< `pitch`: the integers of a widened row, a multiple of 2
};

template <class V>
Prepared integer_matrix_product_prepare(const IntegerMatrixProductTask &task, const Planning &planning) {
    const View &to = task.destination;
    IntegerMatrixPlan plan{};
    plan.rows = to.width, plan.columns = to.channels;
    plan.depth = task.transpose_source ? task.source.width : task.source.channels;
    plan.panels = divide_up(plan.columns, panel_columns);
    plan.pitch = round_up(plan.depth, 2);
    const std::int64_t integers = (panel_columns + PanelSums::pixels) * plan.pitch + widened;
    return planning.keep(plan, to.batch * to.height * plan.panels,
                         static_cast<std::size_t>(integers) * sizeof(std::int16_t));
}

/// Pack the columns [first, first + count) of the second matrix without its zero point: [pair][column][2].
void pack_columns(const IntegerMatrixProductTask &task, const IntegerMatrixPlan &plan, std::int64_t image,
                  std::int64_t y, std::int64_t first, std::int64_t count, std::int16_t *packed) {
    std::fill_n(packed, panel_columns * plan.pitch, std::int16_t{0});
    const std::uint8_t *const bytes = bytes_at(task.second, image, y, 0);
    const std::int64_t stride = task.second.pixel_stride;
    const std::int64_t to_row = task.transpose_second ? 1 : stride,
                       to_column = task.transpose_second ? stride : 1;
    for (std::int64_t k = 0; k < plan.depth; ++k)
        for (std::int64_t c = 0; c < count; ++c)
            packed[(k / 2 * panel_columns + c) * 2 + k % 2] =
                static_cast<std::int16_t>(bytes[k * to_row + (first + c) * to_column] - task.second_zero);
}

/// Widen a row of the first matrix without its zero point. The memory after it may be overwritten.
MPSCNN_INLINE void widen_row(const IntegerMatrixProductTask &task, const IntegerMatrixPlan &plan,
                             std::int64_t image, std::int64_t y, std::int64_t row, std::int16_t *to) {
    const auto zero = static_cast<std::int16_t>(task.source_zero);
    if (task.transpose_source) {
        const std::uint8_t *const bytes = bytes_at(task.source, image, y, 0) + row;
        for (std::int64_t k = 0; k < plan.depth; ++k)
            to[k] = static_cast<std::int16_t>(bytes[k * task.source.pixel_stride] - zero);
    } else {
        widen(bytes_at(task.source, image, y, row), plan.depth, zero, end_of(task.source), to);
    }
    if (plan.depth != plan.pitch) to[plan.depth] = 0;
}

void multiply_panel(const IntegerMatrixProductTask &task, const IntegerMatrixPlan &plan, std::int64_t item,
                    const PanelRequantizer &requantizer, std::int16_t *packed) {
    constexpr int tile = PanelSums::pixels;
    constexpr std::int32_t start[panel_columns] = {};
    const std::int64_t product = item / plan.panels, first = item % plan.panels * panel_columns;
    const std::int64_t image = product / task.destination.height, y = product % task.destination.height;
    const std::int64_t columns = min(plan.columns - first, panel_columns);
    pack_columns(task, plan, image, y, first, columns, packed);
    std::int16_t *const rows = packed + panel_columns * plan.pitch;
    alignas(64) std::int32_t sums[tile * panel_columns];
    for (std::int64_t row = 0; row < plan.rows; row += tile) {
        // The last tile is computed as a whole, with repeated rows.
        for (std::int64_t p = 0; p < tile; ++p)
            widen_row(task, plan, image, y, min(row + p, plan.rows - 1), rows + p * plan.pitch);
        add_pairs<tile, false>(rows, plan.pitch, plan.pitch / 2, packed, start, nullptr, sums);
        for (std::int64_t p = 0; p < min(tile, plan.rows - row); ++p)
            requantizer.store(sums + p * panel_columns, columns,
                              bytes_at(task.destination, image, y, row + p) + first);
    }
}

template <class V>
void integer_matrix_product_run(const IntegerMatrixProductTask &task, const Prepared &prepared,
                                std::int64_t begin, std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<IntegerMatrixPlan>();
    const PanelRequantizer requantizer(task.requantization, 0);
    for (std::int64_t item = begin; item < end; ++item)
        multiply_panel(task, plan, item, requantizer, reinterpret_cast<std::int16_t *>(worker.scratch));
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(IntegerMatrixProductTask, integer_matrix_product)
