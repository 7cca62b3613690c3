#pragma once

// Computes dense and grouped convolutions (also pointwise and fully connected ones) as a matrix product
// (GEMM): (output pixels x inputs of a window) times (inputs x output channels).
//
// The output pixels are divided into regions whose windows have the same taps inside the source
// (convolution_regions.h). Regions are divided into tiles of adjacent pixels, whose inputs are read in place.
// If there would be many small tiles, windows are first gathered into scratch memory (im2col). A work item is
// a block of tiles times a block of channel panels of one group.
//
// gemm_tile.h and its variants have the register blocks. Borders are slower, because their tiles are smaller.
// Inputs and weights from the last-level cache are slower too.

#include "cpu/kernels/convolution/convolution_gather.h"
#include "cpu/kernels/convolution/convolution_regions.h"
#include "cpu/kernels/convolution/gemm_amx_tile.h"
#include "cpu/kernels/convolution/gemm_dot_tile.h"
#include "cpu/kernels/convolution/gemm_group_tile.h"
#include "cpu/kernels/convolution/pack.h"
#include "cpu/kernels/convolution/thread_cuts.h"
#include "cpu/kernels/shared/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

struct GemmPlan : ProductCut {         ///< the plan for each group
    std::int64_t depth, group_outputs; ///< inputs of a window; outputs of a group
    Algorithm algorithm;               ///< one of the algorithms that are matrix products
    std::int64_t merged;               ///< as in ConvolutionShape
    std::int64_t tile_rows;            ///< maximum number of pixels of a tile
    bool gathers;                      ///< true if all windows are gathered into scratch memory
    std::int64_t gathered_pitch;
    int regions;
    Region *region;
    std::int64_t block_tiles;
    std::size_t tile_bytes, scratch_bytes;
};

/// Memory for as many regions as a plan can have.
struct RegionList {
    Region region[Segments::max_count * Segments::max_count];
};

/// Plan the regions that are read in place. If there would be too many, or if a window has no tap inside the
/// source, plan none. Return the cost of multiplying them by one panel.
template <class V> inline std::int64_t plan_regions(const ConvolutionTask &task, GemmPlan &plan) {
    const View &output = task.destination;
    plan.regions = 0;
    plan.tiles = 0;
    plan.gathers = false;
    const Segments rows = find_segments(task.vertical, output.height, task.source.height);
    const Segments columns = find_segments(task.horizontal, output.width, task.source.width);
    std::int64_t cost = 0;
    for (int r = 0; r < rows.count; ++r)
        for (int c = 0; c < columns.count; ++c) {
            Region &region = plan.region[plan.regions];
            make_region<V>(task, rows.list[r], columns.list[c], plan.tile_rows, region);
            region.first_tile = plan.tiles;
            plan.tiles += region.tiles();
            ++plan.regions;
            cost += region_cost<V>(region);
        }
    return cost;
}

/// Choose the faster of two ways: reading regions in place, or gathering all windows.
template <class V> inline void plan_pixels(const ConvolutionTask &task, GemmPlan &plan) {
    const View &output = task.destination;
    const Region gathered = make_gathered_region<V>(task, plan.depth, plan.gathered_pitch, plan.tile_rows);
    const std::int64_t cost = plan_regions<V>(task, plan);
    // Gathering a window takes about as long as multiplying it by one panel.
    const std::int64_t copied = gathered.taps * output.batch * output.height * output.width;
    plan.gathers =
        task.gated || plan.regions == 0 || (cost - region_cost<V>(gathered)) * plan.panels > copied;
    if (!plan.gathers) return;
    plan.regions = 1;
    plan.region[0] = gathered;
    plan.region[0].first_tile = 0;
    plan.tiles = gathered.tiles();
}

/// Return the maximum number of inputs of a block of tiles, so that they stay in L2 while panels of weights
/// pass.
inline std::int64_t l2_inputs(const CacheSizes &caches) {
    return caches.second * 3 / 8 / static_cast<std::int64_t>(sizeof(float));
}

/// Divide the layer into work items. The inputs of a block of tiles stay in L2 while all panels of weights
/// pass. If there are few weights, the outputs of the block should stay in L2 as well, because each panel
/// writes a part of them. With several threads, each needs several items, unless there is too little work.
template <class V>
inline void plan_blocks(const ConvolutionTask &task, int threads, const CacheSizes &caches, GemmPlan &plan) {
    constexpr std::int64_t few_weights = 4096;
    constexpr std::int64_t item_operations = 200'000, tiles_for_a_panel = 16;
    constexpr std::int64_t min_rows = 4; // with fewer rows, FMAs wait for each other
    const PackedConvolution &packed = *task.packed;
    const View &output = task.destination;
    const std::int64_t pixels = output.batch * output.height * output.width;
    const std::int64_t operations = pixels * plan.depth * plan.group_outputs * packed.groups;
    std::int64_t max_items = max(1, operations / item_operations);
    if (max_items > threads)
        max_items = round_up(max_items, threads); // five items would take two threads as long as six
    const std::int64_t wanted = threads == 1 ? 1 : min(4 * threads, max_items);
    const bool keep_outputs = plan.depth * plan.group_outputs <= few_weights;
    // Windows that are read in place overlap, so each further pixel adds only a few inputs.
    const std::int64_t own_inputs = plan.gathers ? plan.depth
                                                 : packed.inputs_per_group *
                                                       min(task.vertical.stride, packed.kernel_height) *
                                                       min(task.horizontal.stride, packed.kernel_width);
    const std::int64_t pixel_floats = own_inputs + (keep_outputs ? plan.group_outputs : 0);
    const std::int64_t blocks = divide_up(pixels * pixel_floats, l2_inputs(caches));
    plan.by_pixels = threads > 1 && cuts_pixels(packed, pixels);
    const std::int64_t minimum = plan.by_pixels && wanted >= threads ? threads : 1;
    plan.pixel_blocks =
        max(min(max(blocks, minimum), plan.tiles), min(wanted, plan.tiles / tiles_for_a_panel));
    if (plan.pixel_blocks > threads) // nine blocks would take two threads as long as ten
        plan.pixel_blocks = min(plan.tiles, round_up(plan.pixel_blocks, threads));
    plan.panel_blocks = max(1, min(plan.panels, wanted / (plan.pixel_blocks * packed.groups)));
    plan.tile_time = plan.depth * max(divide_up(pixels, plan.tiles), min_rows);
    if (threads > 1 && packed.groups == 1) even_out(plan, threads);
    plan.block_tiles = divide_up(plan.tiles, plan.pixel_blocks);
    plan.tile_bytes = static_cast<std::size_t>(plan.block_tiles) * sizeof(PixelTile);
    plan.tile_bytes = (plan.tile_bytes + 63) / 64 * 64;
    plan.scratch_bytes = plan.tile_bytes;
    if (plan.gathers) // plus one vector, because pieces are copied in whole vectors
        plan.scratch_bytes +=
            static_cast<std::size_t>(plan.block_tiles * plan.tile_rows * plan.gathered_pitch + V::width) *
            sizeof(float);
}

/// Fill in the fields of a plan that only depend on the weights.
template <class V> inline void plan_weights(const PackedConvolution &packed, GemmPlan &plan) {
    plan.depth = packed.kernel_height * packed.kernel_width * packed.inputs_per_group;
    plan.group_outputs = packed.outputs / packed.groups;
    plan.panels = panel_count<V>(plan.group_outputs);
    plan.algorithm = packed.algorithm;
    plan.merged = packed.merged;
    plan.tile_rows = plan.algorithm == Algorithm::packed_groups ? max_group_rows
                     : plan.algorithm == Algorithm::dot
                         ? max_dot_rows<V>(static_cast<int>(plan.group_outputs))
                     : plan.group_outputs <= V::width ? max_rows<V, 1>
                                                      : V::gemm_rows;
    // Avoid rows that are 2048 bytes apart, because they would compete for two sets of L1.
    plan.gathered_pitch = plan.depth % 512 == 0 ? plan.depth + 16 : plan.depth;
}

/// Make a plan with tiles of at most `tile_rows` pixels (0: the size of the register block). The regions are
/// written to `list`.
template <class V>
inline GemmPlan cut_gemm(const ConvolutionTask &task, int threads, const CacheSizes &caches,
                         std::int64_t tile_rows, RegionList &list) {
    GemmPlan plan;
    plan.region = list.region;
    plan_weights<V>(*task.packed, plan);
    if (tile_rows > 0) plan.tile_rows = tile_rows;
    plan_pixels<V>(task, plan);
    plan_blocks<V>(task, threads, caches, plan);
    return plan;
}

/// Return the plan of a layer. If whole tiles are too few to divide evenly among threads, tiles have half as
/// many pixels. These take longer for each pixel, but all threads finish at the same time.
template <class V>
inline GemmPlan gemm_plan(const ConvolutionTask &task, int threads, const CacheSizes &caches,
                          RegionList &list) {
    GemmPlan plan = cut_gemm<V>(task, threads, caches, 0, list);
    if (threads == 1 || plan.algorithm != Algorithm::gemm || task.packed->groups > 1 ||
        is_even(plan, threads))
        return plan;
    RegionList halves;
    const GemmPlan other = cut_gemm<V>(task, threads, caches, (plan.tile_rows + 1) / 2, halves);
    // Smaller tiles take about a tenth longer.
    if (11 * other.max_time(threads) >= 10 * plan.max_time(threads)) return plan;
    plan = other;
    plan.region = list.region;
    for (int i = 0; i < plan.regions; ++i) list.region[i] = halves.region[i];
    return plan;
}

/// Make the plan in memory of `planning`. Return null if memory runs out.
template <class V> inline GemmPlan *make_gemm_plan(const ConvolutionTask &task, const Planning &planning) {
    RegionList list;
    const GemmPlan plan = gemm_plan<V>(task, planning.threads, planning.caches, list);
    auto *made = planning.make<GemmPlan>();
    auto *regions = planning.make<Region>(plan.regions);
    if (!made || !regions) return nullptr;
    *made = plan;
    made->region = regions;
    for (int i = 0; i < plan.regions; ++i) regions[i] = plan.region[i];
    return made;
}

/// Gather the windows of a tile's pixels into scratch memory, multiplied by the gate if there is one. The
/// tile's first pixel is number `pixel` of the region.
template <class V>
inline void gather_tile(const ConvolutionTask &task, const Region &region, const float *inputs,
                        std::int64_t pixel, float *gathered, PixelTile &tile) {
    tile.source = gathered;
    for (std::int64_t i = 0; i < tile.pixels; ++i, gathered += region.run.pixel_stride) {
        const PixelPosition at = region.position(pixel + i);
        if (task.gated) {
            gather_product<V>(inputs + pixel_steps(task.source).offset(at),
                              task.gate.data + at.image * task.gate.image_stride, gathered,
                              task.source.channels);
            continue;
        }
        gather_window<V>(task, inputs + at.image * task.source.image_stride, at.y, at.x, gathered);
    }
}

/// Fill in the addresses of tiles [tiles) of a run, and gather their windows if the plan does so. Return the
/// address for the next gathered windows.
template <class V>
inline float *prepare_run(const ConvolutionTask &task, const GemmPlan &plan, const Region &region,
                          const float *inputs, std::int64_t run, const Range &tiles, PixelTile *tile,
                          float *gathered) {
    const ConstView *residual = task.epilogue.residual;
    const PixelPosition start = region.position(run * region.run_pixels);
    const float *first_source = inputs + region.first_source + region.source.offset(start);
    const std::ptrdiff_t first_destination = region.first_destination + region.destination.offset(start);
    const std::ptrdiff_t first_residual = region.first_residual + region.residual.offset(start);

    // Make tiles of equal size. For example, eight tiles of 6 and one of 1 would take as long as nine tiles
    // of 6.
    const std::int64_t size = region.run_pixels / region.run_tiles,
                       larger_tiles = region.run_pixels % region.run_tiles;
    std::int64_t offset = tiles.begin * size + min(tiles.begin, larger_tiles);
    for (std::int64_t i = tiles.begin; i < tiles.end; ++i, ++tile) {
        tile->run = &region.run;
        tile->pixels = size + (i < larger_tiles);
        tile->destination =
            element_at<V>(task.destination.data, first_destination + offset * region.run.destination_stride,
                          task.destination.element);
        tile->residual =
            residual ? element_at<V>(residual->data, first_residual + offset * region.run.residual_stride,
                                     residual->element)
                     : nullptr;
        tile->source = first_source + offset * region.run.pixel_stride;
        tile->start = start.image * task.start.image_stride;
        if (plan.gathers) {
            gather_tile<V>(task, region, inputs, run * region.run_pixels + offset, gathered, *tile);
            gathered += tile->pixels * region.run.pixel_stride;
        }
        offset += tile->pixels;
    }
    return gathered;
}

/// Prepare the tiles [tiles) of an item. Tiles are numbered through all regions and their runs.
template <class V>
inline void prepare_tiles(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                          const Range &tiles, PixelTile *tile, float *gathered) {
    const float *inputs = task.source.data + group * task.packed->inputs_per_group;
    for (int r = 0; r < plan.regions; ++r) {
        const Region &region = plan.region[r];
        const std::int64_t begin = max(tiles.begin - region.first_tile, 0);
        const std::int64_t end = min(tiles.end - region.first_tile, region.tiles());
        for (std::int64_t run = begin / region.run_tiles; run * region.run_tiles < end; ++run) {
            const std::int64_t first = run * region.run_tiles;
            const Range part{max(begin - first, 0), min(end - first, region.run_tiles)};
            gathered = prepare_run<V>(task, plan, region, inputs, run, part, tile, gathered);
            tile += part.size();
        }
    }
}

/// Return true if kernels apply the epilogue to whole vectors of `channels` channels, from `channel` on, with
/// add_residual(), store_clamped() and finish_stored() (ChannelPanel::plain).
template <class V>
inline bool is_plain(const Epilogue &epilogue, std::int64_t channel, std::int64_t channels) {
    if constexpr (has_bfloat16<V>) return is_clamp(epilogue);
    if (!epilogue.residual) return is_clamp(epilogue) || is_function(epilogue);
    const auto limits_only = [](const Activation &activation) {
        return activation.kind == Activation::Kind::none || activation.kind == Activation::Kind::clamp;
    };
    return epilogue.activation.kind == Activation::Kind::none && limits_only(epilogue.residual_activation) &&
           !epilogue.rounds && !epilogue.residual_rounds &&
           epilogue.residual->readable_channels - channel >= round_up_to_width<V>(channels);
}

/// Return panel number `index` of a group's output channels.
template <class V>
inline ChannelPanel channel_panel(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                                  std::int64_t index) {
    const PackedConvolution &packed = *task.packed;
    const Range outputs = panel_outputs<V>(plan.group_outputs, index);
    const std::int64_t channel = group * plan.group_outputs + outputs.begin;
    // Do not write beyond the group: the outputs of the next group are adjacent and may belong to another
    // thread.
    const bool last_group = group == packed.groups - 1;
    const std::int64_t writable = last_group ? task.destination.writable_channels - channel : outputs.size();
    const Epilogue &epilogue = task.epilogue;
    const Limits limits = limits_of(epilogue.residual ? epilogue.residual_activation : epilogue.activation);
    const Element element = task.destination.element;
    const std::int64_t first_weight = group * gemm_group_size<V>(packed) + outputs.begin * plan.depth;
    const float *const weights = packed.weights.data();
    return {.weights = packed.half_weights ? nullptr : weights + first_weight,
            .halves = packed.half_weights ? reinterpret_cast<const std::uint16_t *>(weights) + first_weight
                                          : nullptr,
            .bias = (task.continues ? task.start.data : packed.bias.data()) + channel,
            .channel = channel,
            .offset = channel,
            .channels = outputs.size(),
            .writable = writable,
            .epilogue = &epilogue,
            .plain = is_plain<V>(epilogue, channel, outputs.size()) &&
                     writable >= round_up_to_width<V>(outputs.size()),
            .element = element,
            .low = limits.low,
            .high = limits.high,
            .ahead = nullptr, // set by multiply_block()
            .ahead_step = 0,
            .ahead_tile = 0};
}

/// Return the panel without its epilogue, for algorithms that compute results from the plain sums.
inline ChannelPanel plain_sums(ChannelPanel panel) {
    static constexpr Epilogue none{};
    panel.epilogue = &none;
    panel.plain = true;
    panel.low = Limits{}.low, panel.high = Limits{}.high;
    return panel;
}

/// Return the task with pairs of bfloat16 numbers as single 32-bit inputs. Without bfloat16 elements it is
/// unchanged.
template <class V> inline ConvolutionTask gemm_task(ConvolutionTask task) {
    if constexpr (has_bfloat16<V>) {
        ConstView &source = task.source;
        source.channels /= 2;
        source.image_stride /= 2, source.row_stride /= 2, source.pixel_stride /= 2;
    }
    return task;
}

inline const char *gemm_variant(const GemmPlan &plan) {
    if (plan.algorithm == Algorithm::packed_groups)
        return plan.gathers ? "packed groups, gathered" : "packed groups";
    if (plan.algorithm == Algorithm::dot) return plan.gathers ? "K-vectorised, gathered" : "K-vectorised";
    return plan.gathers ? "gathered" : nullptr;
}

template <class V> Prepared gemm_prepare(const ConvolutionTask &given, const Planning &planning) {
    const GemmPlan *plan = make_gemm_plan<V>(gemm_task<V>(given), planning);
    if (!plan) return {};
    return {.items = given.packed->groups * plan->items(),
            .scratch_bytes = plan->scratch_bytes,
            .plan = plan,
            .variant = gemm_variant(*plan)};
}

/// Return the function that computes a register block, for tiles of this many pixels.
template <class V>
inline TilesFunction block_function(const GemmPlan &plan, std::int64_t rows, const ChannelPanel &panel) {
    if constexpr (has_tiles<V>) {
        return multiply_with_tiles<V>;
    } else {
        if constexpr (!has_bfloat16<V>) {
            if (plan.algorithm == Algorithm::packed_groups) return group_tiles_function<V>(rows, plan.merged);
            if (plan.algorithm == Algorithm::dot) return dot_tiles_function<V>(rows, panel.channels);
        }
        if constexpr (has_half_weights<V>)
            if (panel.halves) return tiles_function<V, std::uint16_t>(rows, panel.channels);
        return tiles_function<V, float>(rows, panel.channels);
    }
}

/// Compute a panel of output channels for all tiles of a block. Adjacent tiles of equal size are computed in
/// one call. Each tile prefetches a part of the next panel's weights or, with `inputs_first`, the inputs of
/// the next tile.
template <class V>
inline void multiply_block(const GemmPlan &plan, const PixelTile *tiles, std::int64_t count,
                           ChannelPanel panel, bool inputs_first = false) {
    const std::int64_t size = panel.halves ? sizeof(std::uint16_t) : sizeof(float);
    const std::int64_t bytes = round_up_to_width<V>(panel.channels) * size;
    const char *first_byte = panel.halves ? reinterpret_cast<const char *>(panel.halves)
                                          : reinterpret_cast<const char *>(panel.weights);
    const char *next_panel = first_byte + plan.depth * bytes;
    panel.ahead_step = divide_up(bytes, count);
    panel.ahead_tile = panel.ahead_step * plan.depth;
    [[maybe_unused]] const BlockArithmetic<V> arithmetic;
    for (std::int64_t first = 0, next = 0; first < count; first = next) {
        while (next < count && tiles[next].pixels == tiles[first].pixels) ++next;
        panel.ahead = next_panel + first * panel.ahead_tile;
        const std::int64_t rows = tiles[first].pixels;
        if (inputs_first) {
            const std::ptrdiff_t inputs = rows * tiles[first].run->pixel_stride;
            panel.ahead_tile = inputs * static_cast<std::ptrdiff_t>(sizeof(float));
            panel.ahead_step = divide_up(panel.ahead_tile, plan.depth);
            panel.ahead = reinterpret_cast<const char *>(tiles[first].source + inputs);
        }
        block_function<V>(plan, rows, panel)(tiles + first, next - first, panel);
    }
}

/// True if the inputs of a block of tiles are prefetched instead of weights. With few panels of weights,
/// these stay in the caches, and the first panel would wait for the inputs of its pixels.
inline bool awaits_inputs(const GemmPlan &plan) {
    constexpr std::int64_t few_panels = 2;
    return plan.panels <= few_panels && !plan.gathers && plan.regions == 1 &&
           plan.region->run.rows * plan.region->run.columns == 1;
}

/// For a tile of one pixel, compute the panels [panels), several at a time. Return the first panel that
/// remains.
template <class V>
inline std::int64_t multiply_pixel_panels(const ConvolutionTask &task, const GemmPlan &plan,
                                          std::int64_t group, Range panels, const PixelTile &tile) {
    const auto panel = [&](std::int64_t p) { return channel_panel<V>(task, plan, group, p); };
    for (; panels.begin + 4 <= panels.end && panels.begin + 4 < plan.panels; panels.begin += 4) {
        const std::int64_t p = panels.begin; // all panels are full, except the last one of a group
        const ChannelPanel together[] = {panel(p), panel(p + 1), panel(p + 2), panel(p + 3)};
        if constexpr (has_half_weights<V>)
            if (task.packed->half_weights) {
                multiply_pixel<V, std::uint16_t>(tile, together);
                continue;
            }
        multiply_pixel<V, float>(tile, together);
    }
    return panels.begin;
}

template <class V>
inline void run_item(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t item,
                     std::byte *scratch) {
    std::int64_t pixel_block = item % plan.pixel_blocks, rest = item / plan.pixel_blocks;
    std::int64_t panel_block = rest % plan.panel_blocks, group = rest / plan.panel_blocks;
    if (plan.by_pixels) {
        panel_block = item % plan.panel_blocks, rest = item / plan.panel_blocks;
        group = rest % task.packed->groups, pixel_block = rest / task.packed->groups;
    }

    const Range tiles = part_of(plan.tiles, plan.pixel_blocks, pixel_block);
    auto *block = reinterpret_cast<PixelTile *>(scratch);
    auto *gathered = reinterpret_cast<float *>(scratch + plan.tile_bytes);
    prepare_tiles<V>(task, plan, group, tiles, block, gathered);

    const Range panels = part_of(plan.panels, plan.panel_blocks, panel_block);
    std::int64_t p = panels.begin;
    if constexpr (!sums_in_blocks<V>)
        if (tiles.size() == 1 && block->pixels == 1)
            p = multiply_pixel_panels<V>(task, plan, group, panels, *block);
    for (; p < panels.end; ++p)
        multiply_block<V>(plan, block, tiles.size(), channel_panel<V>(task, plan, group, p),
                          p == panels.begin && awaits_inputs(plan));
}

template <class V>
void gemm_run(const ConvolutionTask &given, const Prepared &prepared, std::int64_t begin, std::int64_t end,
              Worker &worker) {
    const auto &plan = prepared.plan_as<GemmPlan>();
    const auto run = [&](const ConvolutionTask &task) {
        for (std::int64_t item = begin; item < end; ++item) run_item<V>(task, plan, item, worker.scratch);
    };
    if constexpr (has_bfloat16<V>)
        run(gemm_task<V>(given));
    else
        run(given);
}

} // namespace
} // namespace mpscnn::cpu
