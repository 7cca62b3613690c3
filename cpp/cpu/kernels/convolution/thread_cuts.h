#pragma once

// How threads share a convolution or a chain of them: what its kernels do, and what the cost model counts on.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/kernels/movement/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// So many weights reach a thread as soon as one number that another thread has just written: from memory
/// weights come no sooner, from the last-level cache they are there when they are needed, since kernels
/// prefetch them.
inline std::int64_t weights_at_once(const PackedConvolution &packed) { return packed.cached ? 3 : 1; }

/// Whether the threads of a matrix product take pixels and all weights rather than all pixels and some of the
/// weights: whichever takes less time to come from another thread or from the last-level cache. Those that
/// take pixels leave most of their results to themselves.
inline bool cuts_pixels(const PackedConvolution &packed, std::int64_t pixels) {
    const std::int64_t depth = packed.kernel_height * packed.kernel_width * packed.inputs_per_group;
    const std::int64_t exchanged = pixels * (packed.inputs_per_group * packed.groups + packed.outputs);
    return exchanged * weights_at_once(packed) > depth * packed.outputs;
}

/// A matrix product cut into items: blocks of its tiles of pixels times blocks of its panels of weights.
struct ProductCut {
    std::int64_t tiles, panels;
    std::int64_t tile_time; ///< of a tile times a panel, in cycles, about
    std::int64_t pixel_blocks, panel_blocks;
    bool by_pixels; ///< neighbouring items have the same pixels, otherwise the same panels

    std::int64_t items() const { return pixel_blocks * panel_blocks; }

    /// Tiles times panels of the first `count` items.
    std::int64_t work_of(std::int64_t count) const {
        const std::int64_t outer = by_pixels ? tiles : panels, inner = by_pixels ? panels : tiles;
        const std::int64_t outer_blocks = by_pixels ? pixel_blocks : panel_blocks,
                           inner_blocks = by_pixels ? panel_blocks : pixel_blocks;
        const Range block = part_of(outer, outer_blocks, count / inner_blocks);
        return block.begin * inner + block.size() * (inner * (count % inner_blocks) / inner_blocks);
    }

    /// Tiles times panels of the thread with the most, if each has one contiguous part of the items.
    std::int64_t max_work(int threads) const {
        std::int64_t most = 0;
        for (int t = 0; t < threads; ++t) {
            const Range own = part_of(items(), threads, t);
            most = max(most, work_of(own.end) - work_of(own.begin));
        }
        return most;
    }

    /// Cycles of a thread with so much work.
    std::int64_t time_of(std::int64_t work, int threads) const {
        constexpr std::int64_t item_time = 600; // to claim one, and to find its tiles
        return work * tile_time + divide_up(items(), threads) * item_time;
    }
    std::int64_t max_time(int threads) const { return time_of(max_work(threads), threads); }
};

/// Whether each thread has some items, and the one with the most work hardly more of it than the others.
inline bool is_even(const ProductCut &cut, int threads) {
    return cut.items() >= 3 * threads && 16 * cut.max_work(threads) * threads <= 17 * cut.tiles * cut.panels;
}

/// Calls use(blocks) for each number of blocks, from `least` on, that `count` things can be cut into such
/// that no block of fewer would do.
template <class Use> inline void for_each_cut(std::int64_t count, std::int64_t least, Use use) {
    for (std::int64_t size = divide_up(count, least); size >= 1; --size) {
        const std::int64_t blocks = divide_up(count, size);
        if (size == 1 || blocks < divide_up(count, size - 1)) use(max(blocks, least));
    }
}

/// Makes more items where threads would otherwise wait for the one with the most work: five panels would keep
/// two threads as long as six, unless each takes its part of the pixels, too. What an item costs besides
/// bounds how many there are.
inline void even_out(ProductCut &cut, int threads) {
    constexpr std::int64_t min_time = 5'000; // to wake others for
    const std::int64_t all = cut.tiles * cut.panels;
    if (is_even(cut, threads) || all * cut.tile_time < min_time) return;
    const ProductCut given = cut;
    std::int64_t least = given.max_time(threads);
    for_each_cut(given.tiles, given.pixel_blocks, [&](std::int64_t pixel_blocks) {
        for_each_cut(given.panels, given.panel_blocks, [&](std::int64_t panel_blocks) {
            ProductCut other = given;
            other.pixel_blocks = pixel_blocks, other.panel_blocks = panel_blocks;
            if (other.time_of(divide_up(all, threads), threads) >= least) return; // even if it were even
            if (const std::int64_t time = other.max_time(threads); time < least) cut = other, least = time;
        });
    });
}

/// Output rows after which a depthwise convolution's strips of two rows begin again; cuts at multiples of it
/// keep strips whole.
inline std::int64_t depthwise_group_rows(const ConvolutionTask &task) { return 2 * task.vertical.dilation; }

/// Rows of the source that a row of outputs spans.
inline std::int64_t window_rows(const ConvolutionTask &task) { return window_span(task.vertical); }

/// Rows of its source, of which there are `height`, that `rows` rows of a convolution's result read.
inline std::int64_t source_rows(const ConvolutionTask &task, std::int64_t rows, std::int64_t height) {
    return min((rows - 1) * task.vertical.stride + window_rows(task), height);
}

/// The bands of a chain's result, as parts of units of this many rows.
struct ChainBands {
    std::int64_t unit, units, count;

    std::int64_t max_rows() const { return divide_up(units, count) * unit; }
};

/// Bands of about `rows` rows (0: one of all) of `height`, for the stages of a chain. They keep strips whole,
/// unless some threads would have many more rows than others.
inline ChainBands chain_bands(const ConvolutionTask *stages, std::int64_t count, std::int64_t height,
                              std::int64_t rows, int threads) {
    std::int64_t strips = 1;
    for (std::int64_t s = count; s-- > 0 && strips == 1;)
        if (stages[s].packed->is_depthwise()) strips = depthwise_group_rows(stages[s]);
    ChainBands bands{strips, divide_up(height, strips), 1};
    if (rows == 0 || rows >= height) return bands;
    const std::int64_t most = divide_up(bands.units, threads) * strips, least = divide_up(height, threads);
    if (16 * most > 17 * least) bands = {1, height, 1};
    const std::int64_t wanted = divide_up(height, rows);
    bands.count = min(round_up(min(wanted, bands.units), threads), bands.units);
    return bands;
}

/// The cut into panels of channels, of which there are `most` at most: as many for each thread.
inline std::int64_t panel_items(std::int64_t wanted, std::int64_t most, int threads) {
    return min(round_up(wanted, threads), most);
}

} // namespace
} // namespace mpscnn::cpu
