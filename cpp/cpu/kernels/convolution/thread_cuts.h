#pragma once

// Rules by which threads divide a convolution or a chain of convolutions. Kernels follow them, and the cost
// model assumes them.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/kernels/shared/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// Return how many weights a thread can load in the time in which it loads one number that another thread has
/// just written. A weight from memory takes as long as such a number. Weights in the last-level cache take
/// less time, because kernels prefetch them.
inline std::int64_t weights_at_once(const PackedConvolution &packed) { return packed.cached ? 3 : 1; }

/// Return true if each thread computes some pixels with all weights, and false if it computes all pixels with
/// some weights. The choice minimizes what must be loaded from other threads or the last-level cache. Threads
/// that compute some pixels mostly read what they have written themselves.
inline bool cuts_pixels(const PackedConvolution &packed, std::int64_t pixels) {
    const std::int64_t depth = packed.kernel_height * packed.kernel_width * packed.inputs_per_group;
    const std::int64_t exchanged = pixels * (packed.inputs_per_group * packed.groups + packed.outputs);
    return exchanged * weights_at_once(packed) > depth * packed.outputs;
}

/// Return the time that threads wait for the last one at the end of a step, in percent of the time of one
/// work item. The more threads there are, the more likely one of them is slow or was interrupted. The other
/// threads take over its items, except the one that it has begun. The percentage was measured with 8 and 16
/// threads.
inline std::int64_t late_percent(int threads) { return clamped(10 * (threads - 2), 0, 60); }

/// A matrix product divided into work items: blocks of pixel tiles times blocks of weight panels.
struct ProductCut {
    std::int64_t tiles, panels;
    std::int64_t tile_time; ///< estimated cycles for a tile times a panel
    std::int64_t pixel_blocks, panel_blocks;
    bool by_pixels; ///< True if adjacent items have the same pixels; false if they have the same panels.

    std::int64_t items() const { return pixel_blocks * panel_blocks; }

    /// Return the work (tiles times panels) of the first `count` items.
    std::int64_t work_of(std::int64_t count) const {
        const std::int64_t outer = by_pixels ? tiles : panels, inner = by_pixels ? panels : tiles;
        const std::int64_t outer_blocks = by_pixels ? pixel_blocks : panel_blocks,
                           inner_blocks = by_pixels ? panel_blocks : pixel_blocks;
        const Range block = part_of(outer, outer_blocks, count / inner_blocks);
        return block.begin * inner + block.size() * (inner * (count % inner_blocks) / inner_blocks);
    }

    /// Return the work of the thread with the most work, if each thread has one contiguous part of the items.
    std::int64_t max_work(int threads) const {
        std::int64_t longest = 0;
        for (int t = 0; t < threads; ++t) {
            const Range own = part_of(items(), threads, t);
            longest = max(longest, work_of(own.end) - work_of(own.begin));
        }
        return longest;
    }

    /// Return the cycles that a thread needs for `work` and its share of items.
    std::int64_t time_of(std::int64_t work, int threads) const {
        constexpr std::int64_t item_time = 600; // cycles to claim an item and find its tiles
        return work * tile_time + divide_up(items(), threads) * item_time;
    }
    std::int64_t max_time(int threads) const {
        const std::int64_t item =
            divide_up(tiles, pixel_blocks) * divide_up(panels, panel_blocks) * tile_time;
        return time_of(max_work(threads), threads) + item * late_percent(threads) / 100;
    }
};

/// Return true if each thread has several items and no thread has much more work than the average.
inline bool is_even(const ProductCut &cut, int threads) {
    return cut.items() >= 3 * threads && 16 * cut.max_work(threads) * threads <= 17 * cut.tiles * cut.panels;
}

/// Call use(blocks) for each useful number of blocks, from `min_blocks` on, into which `count` things can be
/// divided. A number of blocks is not useful if fewer blocks can have the same maximum size.
template <class Use> inline void for_each_cut(std::int64_t count, std::int64_t min_blocks, Use use) {
    for (std::int64_t size = divide_up(count, min_blocks); size >= 1; --size) {
        const std::int64_t blocks = divide_up(count, size);
        if (size == 1 || blocks < divide_up(count, size - 1)) use(max(blocks, min_blocks));
    }
}

/// Make more items if threads would otherwise wait for the one with the most work, or for a late one. For
/// example, five panels would take two threads as long as six, unless each thread also takes a part of the
/// pixels. Each item costs some time, so there cannot be too many.
inline void even_out(ProductCut &cut, int threads) {
    // It is not worth waking other threads for a product that takes fewer cycles.
    constexpr std::int64_t min_time = 5'000;
    // A larger product has terabytes. It can be planned but not run, and its times would exceed 64 bits.
    constexpr std::int64_t max_size = std::int64_t{1} << 34, max_tile_time = std::int64_t{1} << 23;
    const std::int64_t all = cut.tiles * cut.panels;
    if (all > max_size || cut.tile_time > max_tile_time) return;
    const bool waits = late_percent(threads) > 0 || !is_even(cut, threads);
    if (!waits || all * cut.tile_time < min_time) return;
    const ProductCut given = cut;
    std::int64_t best_time = given.max_time(threads);
    for_each_cut(given.tiles, given.pixel_blocks, [&](std::int64_t pixel_blocks) {
        for_each_cut(given.panels, given.panel_blocks, [&](std::int64_t panel_blocks) {
            ProductCut other = given;
            other.pixel_blocks = pixel_blocks, other.panel_blocks = panel_blocks;
            // Skip a cut that would be too slow even if the work were divided evenly.
            if (other.time_of(divide_up(all, threads), threads) >= best_time) return;
            if (const std::int64_t time = other.max_time(threads); time < best_time)
                cut = other, best_time = time;
        });
    });
}

/// Return the number of output rows after which the pattern of a depthwise convolution's strips repeats. A
/// strip has two rows. Bands that begin at multiples of this number keep strips whole.
inline std::int64_t depthwise_group_rows(const ConvolutionTask &task) { return 2 * task.vertical.dilation; }

/// Return the source rows that the window of one output row spans.
inline std::int64_t window_rows(const ConvolutionTask &task) { return window_span(task.vertical); }

/// Return the number of source rows, at most `height`, that `rows` rows of a convolution's result read.
inline std::int64_t source_rows(const ConvolutionTask &task, std::int64_t rows, std::int64_t height) {
    return min((rows - 1) * task.vertical.stride + window_rows(task), height);
}

/// The bands of a chain's result: sets of consecutive rows. A band has whole units of `unit` rows.
struct ChainBands {
    std::int64_t unit, units, count;

    std::int64_t max_rows() const { return divide_up(units, count) * unit; }
};

/// Divide `height` rows of a chain's result into bands of about `rows` rows (0: one band). Bands keep the
/// strips of depthwise stages whole, unless some threads would then have many more rows than others.
inline ChainBands chain_bands(const ConvolutionTask *stages, std::int64_t count, std::int64_t height,
                              std::int64_t rows, int threads) {
    std::int64_t strips = 1;
    for (std::int64_t s = count; s-- > 0 && strips == 1;)
        if (stages[s].packed->is_depthwise()) strips = depthwise_group_rows(stages[s]);
    ChainBands bands{strips, divide_up(height, strips), 1};
    if (rows == 0 || rows >= height) return bands;
    const std::int64_t slowest_rows = divide_up(bands.units, threads) * strips,
                       even_rows = divide_up(height, threads);
    if (16 * slowest_rows > 17 * even_rows) bands = {1, height, 1};
    const std::int64_t wanted = divide_up(height, rows);
    bands.count = min(round_up(min(wanted, bands.units), threads), bands.units);
    return bands;
}

/// Return the number of work items if panels of channels are items: about `wanted`, more if many threads
/// would wait for a late one, and at most `max_items`. Each thread gets the same number, if possible.
inline std::int64_t panel_items(std::int64_t wanted, std::int64_t max_items, int threads) {
    const std::int64_t items = late_percent(threads) > 0 ? max(wanted, 4 * threads) : wanted;
    return min(round_up(items, threads), max_items);
}

} // namespace
} // namespace mpscnn::cpu
