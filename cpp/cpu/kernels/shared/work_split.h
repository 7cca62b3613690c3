#pragma once

// Divides a task over images, rows and channels into work items for the thread pool.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"

namespace mpscnn::cpu {
namespace {

/// The work items of a task: blocks of rows and of channel vectors of each image.
struct WorkSplit {
    std::int64_t batch, rows, vectors, row_blocks, vector_blocks;

    struct Item {
        std::int64_t image;
        Range rows, vectors;
    };
    MPSCNN_INLINE std::int64_t items() const { return batch * row_blocks * vector_blocks; }
    MPSCNN_INLINE Item item(std::int64_t index) const {
        const std::int64_t rows_index = index / vector_blocks;
        return {rows_index / row_blocks, part_of(rows, row_blocks, rows_index % row_blocks),
                part_of(vectors, vector_blocks, index % vector_blocks)};
    }
};

/// Divide a task so that each thread has several items, because a late thread then costs little. The task
/// costs `cost`, and each item should cost at least `min_cost` (both in any unit of the caller). If there
/// would be fewer than three items for each thread, the minimum is a quarter of `min_cost`, unless the whole
/// task costs less than `min_cost`. Items become smaller if their number is rounded up to a multiple of
/// `threads`. Channels are only divided if there are not enough rows, and never with vectors = 1.
MPSCNN_INLINE WorkSplit split_work(std::int64_t batch, std::int64_t rows, std::int64_t vectors,
                                   std::int64_t cost, std::int64_t min_cost, int threads) {
    std::int64_t target =
        threads <= 1 ? 1 : clamped(cost / min_cost, 1, 4 * static_cast<std::int64_t>(threads));
    if (threads > 1 && cost >= min_cost && target < 3 * threads)
        target = min(4 * cost / min_cost, 3 * static_cast<std::int64_t>(threads));
    if (target > 1) target = round_up(target, threads); // three items would take two threads as long as four
    WorkSplit split{batch, rows, vectors, 1, 1};
    split.row_blocks = clamped(divide_up(target, max(batch, 1)), 1, max(rows, 1));
    split.vector_blocks = clamped(target / max(batch * split.row_blocks, 1), 1, max(vectors, 1));
    return split;
}

/// The minimum number of elements of an item in a pass over a tensor: some 4 microseconds.
inline constexpr std::int64_t min_elements = 1 << 14;

/// Divide a pass over the elements of a tensor by whole rows.
template <class ViewType> MPSCNN_INLINE WorkSplit split_elements(const ViewType &view, int threads) {
    return split_work(view.batch, view.height, 1, view.batch * view.height * view.width * view.channels,
                      min_elements, threads);
}

/// Prepare a pass over the elements of a tensor, which is divided by whole rows.
template <class ViewType>
MPSCNN_INLINE Prepared prepare_elements(const ViewType &view, const Planning &planning,
                                        std::size_t scratch_bytes = 0) {
    const WorkSplit split = split_elements(view, planning.threads);
    return planning.keep(split, split.items(), scratch_bytes);
}

/// Divide a pass over single pixels, whose channels are read several times.
template <class ViewType>
MPSCNN_INLINE Prepared prepare_pixels(const ViewType &view, const Planning &planning) {
    const WorkSplit split =
        split_work(view.batch, view.height, view.width, view.batch * view.height * view.width * view.channels,
                   min_elements / 4, planning.threads);
    return planning.keep(split, split.items());
}

/// Call visit(image, y, x) for each pixel of the items.
template <class Visit>
MPSCNN_INLINE void for_each_split_pixel(const Prepared &prepared, std::int64_t begin, std::int64_t end,
                                        Visit visit) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = item.vectors.begin; x < item.vectors.end; ++x) visit(item.image, y, x);
    }
}

} // namespace
} // namespace mpscnn::cpu
