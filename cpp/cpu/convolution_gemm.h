#pragma once

// Dense and grouped convolutions (pointwise and fully connected among them) as a matrix product: output
// pixels x inputs of a window, times inputs x output channels.
//
// The output pixels are cut into tiles of at most gemm_rows. A tile whose windows lie inside the source, one
// constant stride apart, is read where it is; any other is first gathered into scratch, with zeros outside
// the source. A work item is a block of tiles times a block of channel panels of one group.

#include <cstring>

#include "cpu/gemm_tile.h"
#include "cpu/kernel_math.h"
#include "cpu/pack.h"

namespace mpscnn::cpu {
namespace {

/// Steps between the output pixels of a tensor, or between their windows in the source.
struct PixelSteps {
    std::ptrdiff_t column, row, image;
};

/// How far pixels follow each other at one constant stride.
enum class Run { row = 0, image = 1, batch = 2 };

struct GemmPlan {
    std::int64_t depth, group_outputs, panels; ///< inputs of a window; per group
    InputPieces direct, gathered;
    bool inside;     ///< no window leaves the source
    bool gather_all; ///< no tile is read in place
    std::ptrdiff_t destination_stride, residual_stride;
    std::int64_t runs, run_pixels, run_tiles; ///< stretches at a constant stride; in each
    std::int64_t pixel_blocks, panel_blocks, block_tiles;
    std::size_t tile_bytes, scratch_bytes;
};

inline std::ptrdiff_t constant_stride(const PixelSteps &steps, const View &output) {
    return output.width > 1 ? steps.column : output.height > 1 ? steps.row : steps.image;
}

inline Run longest_run(const PixelSteps &steps, const View &output) {
    const std::ptrdiff_t stride = constant_stride(steps, output);
    const bool rows = output.width == 1 || output.height == 1 || steps.row == output.width * stride;
    if (!rows) return Run::row;
    const std::int64_t pixels = output.height * output.width;
    const bool images = output.batch == 1 || pixels == 1 || steps.image == pixels * stride;
    return images ? Run::batch : Run::image;
}

inline Run shorter(Run a, Run b) { return a < b ? a : b; }

inline std::int64_t pixels_in(Run run, const View &output) {
    const std::int64_t row = output.width, image = row * output.height;
    return run == Run::row ? row : run == Run::image ? image : image * output.batch;
}

/// First source position of a window, and one behind its last.
inline std::int64_t window_begin(const WindowAxis &axis, std::int64_t output) {
    return output * axis.stride - axis.before;
}
inline std::int64_t window_end(const WindowAxis &axis, std::int64_t output) {
    return window_begin(axis, output) + (axis.kernel - 1) * axis.dilation + 1;
}
inline bool windows_inside(const WindowAxis &axis, std::int64_t first, std::int64_t last,
                           std::int64_t extent) {
    return window_begin(axis, first) >= 0 && window_end(axis, last) <= extent;
}

/// The window of a pixel in the source, in as few pieces as its memory allows.
inline InputPieces source_pieces(const ConvolutionTask &task) {
    const ConstView &source = task.source;
    InputPieces pieces{.rows = task.vertical.kernel,
                       .columns = task.horizontal.kernel,
                       .length = task.packed->inputs_per_group,
                       .row_stride = source.row_stride * task.vertical.dilation,
                       .column_stride = source.pixel_stride * task.horizontal.dilation};
    if (pieces.columns == 1 || pieces.column_stride == pieces.length) {
        pieces.length *= pieces.columns;
        pieces.columns = 1;
        if (pieces.rows == 1 || pieces.row_stride == pieces.length) {
            pieces.length *= pieces.rows;
            pieces.rows = 1;
        }
    }
    return pieces;
}

/// Decides which pixels follow each other at a constant stride, in memory or after gathering.
template <class V> inline void plan_pixels(const ConvolutionTask &task, GemmPlan &plan) {
    const ConstView &source = task.source;
    const View &output = task.destination;
    const PixelSteps steps{task.horizontal.stride * source.pixel_stride,
                           task.vertical.stride * source.row_stride, source.image_stride};
    const PixelSteps stored{output.pixel_stride, output.row_stride, output.image_stride};
    Run run = longest_run(stored, output);
    plan.destination_stride = constant_stride(stored, output);
    plan.residual_stride = 0;
    if (const ConstView *residual = task.epilogue.residual) {
        const PixelSteps added{residual->pixel_stride, residual->row_stride, residual->image_stride};
        run = shorter(run, longest_run(added, output));
        plan.residual_stride = constant_stride(added, output);
    }
    plan.inside = windows_inside(task.vertical, 0, output.height - 1, source.height) &&
                  windows_inside(task.horizontal, 0, output.width - 1, source.width);
    const Run direct_run = plan.inside ? shorter(run, longest_run(steps, output)) : Run::row;
    // Tiles of short runs would be small: gathering costs less.
    plan.gather_all = direct_run < run && pixels_in(direct_run, output) < 2 * V::gemm_rows;
    if (!plan.gather_all) run = direct_run;
    plan.run_pixels = pixels_in(run, output);
    plan.runs = pixels_in(Run::batch, output) / plan.run_pixels;
    plan.run_tiles = divide_up(plan.run_pixels, V::gemm_rows);
    plan.direct.pixel_stride = constant_stride(steps, output);
}

/// Cuts the layer into items. The inputs of a block of tiles should stay in the second-level cache while all
/// panels of weights pass; where the weights are few, so should its outputs, which each panel writes a part
/// of. Several threads need some items each, unless there is too little to do.
template <class V> inline void plan_blocks(const ConvolutionTask &task, int threads, GemmPlan &plan) {
    constexpr std::int64_t cached_floats = 48 * 1024, few_weights = 4096;
    constexpr std::int64_t item_operations = 100'000, tiles_for_a_panel = 16;
    const std::int64_t tiles = plan.runs * plan.run_tiles, groups = task.packed->groups;
    const std::int64_t operations = plan.runs * plan.run_pixels * plan.depth * plan.group_outputs * groups;
    const std::int64_t wanted =
        threads == 1 ? 1 : larger(1, smaller(4 * threads, operations / item_operations));
    const bool keep_outputs = plan.depth * plan.group_outputs <= few_weights;
    const std::int64_t pixel_floats = plan.depth + (keep_outputs ? plan.group_outputs : 0);
    const std::int64_t cached_tiles = larger(1, cached_floats / (V::gemm_rows * pixel_floats));
    plan.pixel_blocks = larger(divide_up(tiles, cached_tiles), smaller(wanted, tiles / tiles_for_a_panel));
    if (plan.pixel_blocks > threads) // nine blocks would keep two threads as long as ten
        plan.pixel_blocks = smaller(tiles, divide_up(plan.pixel_blocks, threads) * threads);
    plan.panel_blocks = larger(1, smaller(plan.panels, wanted / (plan.pixel_blocks * groups)));
    plan.block_tiles = divide_up(tiles, plan.pixel_blocks);
    plan.tile_bytes = static_cast<std::size_t>(plan.block_tiles) * sizeof(PixelTile);
    plan.tile_bytes = (plan.tile_bytes + 63) / 64 * 64;
    plan.scratch_bytes = plan.tile_bytes;
    if (!plan.inside || plan.gather_all) // and a vector more, since pieces are copied in whole vectors
        plan.scratch_bytes += static_cast<std::size_t>(
                                  plan.block_tiles * V::gemm_rows * plan.gathered.pixel_stride + V::width) *
                              sizeof(float);
}

template <class V> inline GemmPlan gemm_plan(const ConvolutionTask &task, int threads) {
    const PackedConvolution &packed = *task.packed;
    GemmPlan plan;
    plan.depth = packed.kernel_height * packed.kernel_width * packed.inputs_per_group;
    plan.group_outputs = packed.outputs / packed.groups;
    plan.panels = panel_count<V>(plan.group_outputs);
    plan.direct = source_pieces(task);
    plan.gathered = {.length = plan.depth, .pixel_stride = plan.depth};
    // Rows 2048 bytes apart fall into the same set of the first-level cache.
    if (plan.depth % 512 == 0) plan.gathered.pixel_stride += 16;
    plan_pixels<V>(task, plan);
    plan_blocks<V>(task, threads, plan);
    return plan;
}

/// Copies or, without a source, clears `count` floats; may write, but not read, up to a vector further.
template <class V> inline void gather_piece(const float *source, float *target, std::int64_t count) {
    std::int64_t i = 0;
    for (; i + V::width <= count; i += V::width)
        V::store(target + i, source ? V::load(source + i) : V::zero());
    if (i < count) V::store(target + i, source ? V::load_partial(source + i, count - i) : V::zero());
}

/// Writes the window of output pixel (y, x) as one row of `depth` floats.
template <class V>
inline void gather_window(const ConvolutionTask &task, const float *image, std::int64_t y, std::int64_t x,
                          float *target) {
    const ConstView &source = task.source;
    const WindowAxis &vertical = task.vertical, &horizontal = task.horizontal;
    const std::int64_t length = task.packed->inputs_per_group;
    const std::int64_t left = window_begin(horizontal, x);
    const bool merged = horizontal.dilation == 1 && source.pixel_stride == length && left >= 0 &&
                        window_end(horizontal, x) <= source.width;
    for (std::int64_t i = 0; i < vertical.kernel; ++i) {
        const std::int64_t row = window_begin(vertical, y) + i * vertical.dilation;
        const float *line = row >= 0 && row < source.height ? image + row * source.row_stride : nullptr;
        if (!line || merged) {
            gather_piece<V>(line ? line + left * length : nullptr, target, horizontal.kernel * length);
            target += horizontal.kernel * length;
            continue;
        }
        for (std::int64_t j = 0; j < horizontal.kernel; ++j, target += length) {
            const std::int64_t column = left + j * horizontal.dilation;
            const bool exists = column >= 0 && column < source.width;
            gather_piece<V>(exists ? line + column * source.pixel_stride : nullptr, target, length);
        }
    }
}

/// Position of an output pixel that is counted through the batch.
struct PixelPosition {
    std::int64_t image, y, x;
};
inline PixelPosition pixel_position(const View &output, std::int64_t pixel) {
    const std::int64_t row = pixel / output.width;
    return {row / output.height, row % output.height, pixel % output.width};
}

/// Address of a pixel's floats in a view.
template <class AnyView> inline auto pixel_address(const AnyView &view, const PixelPosition &at) {
    return view.data + at.image * view.image_stride + at.y * view.row_stride + at.x * view.pixel_stride;
}

/// Reads the tile, whose first pixel is number `pixel` of the batch, into scratch.
template <class V>
inline void gather_tile(const ConvolutionTask &task, const GemmPlan &plan, const float *inputs,
                        std::int64_t pixel, float *gathered, PixelTile &tile) {
    tile.pieces = &plan.gathered;
    tile.source = gathered;
    for (std::int64_t i = 0; i < tile.pixels; ++i, gathered += plan.gathered.pixel_stride) {
        const PixelPosition at = pixel_position(task.destination, pixel + i);
        gather_window<V>(task, inputs + at.image * task.source.image_stride, at.y, at.x, gathered);
    }
}

/// Fills in where the tiles [tiles.begin, tiles.end) of a run read and write.
template <class V>
inline void prepare_run(const ConvolutionTask &task, const GemmPlan &plan, const float *inputs,
                        std::int64_t run, const Range &tiles, PixelTile *tile, float *gathered) {
    const ConstView &source = task.source;
    const PixelPosition start = pixel_position(task.destination, run * plan.run_pixels);
    const ConstView *residual = task.epilogue.residual;
    const float *first_source = inputs + start.image * source.image_stride +
                                window_begin(task.vertical, start.y) * source.row_stride +
                                window_begin(task.horizontal, start.x) * source.pixel_stride;
    float *first_destination = pixel_address(task.destination, start);
    const float *first_residual = residual ? pixel_address(*residual, start) : nullptr;
    const bool row_inside = plan.inside || windows_inside(task.vertical, start.y, start.y, source.height);

    // Even sizes: 49 pixels are not eight tiles of 6 and one of 1, which would cost as much as a whole one.
    const std::int64_t size = plan.run_pixels / plan.run_tiles,
                       larger_tiles = plan.run_pixels % plan.run_tiles;
    std::int64_t offset = tiles.begin * size + smaller(tiles.begin, larger_tiles);
    for (std::int64_t i = tiles.begin; i < tiles.end; ++i, ++tile) {
        tile->pixels = size + (i < larger_tiles);
        tile->destination = first_destination + offset * plan.destination_stride;
        tile->residual = residual ? first_residual + offset * plan.residual_stride : nullptr;
        // Runs that leave the source are single rows: the offset is a column.
        const bool in_place =
            plan.inside ||
            (row_inside && windows_inside(task.horizontal, offset, offset + tile->pixels - 1, source.width));
        if (in_place && !plan.gather_all) {
            tile->pieces = &plan.direct;
            tile->source = first_source + offset * plan.direct.pixel_stride;
        } else {
            gather_tile<V>(task, plan, inputs, run * plan.run_pixels + offset, gathered, *tile);
            gathered += tile->pixels * plan.gathered.pixel_stride;
        }
        offset += tile->pixels;
    }
}

/// Prepares the tiles of an item, numbered through the runs.
template <class V>
inline void prepare_tiles(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                          const Range &tiles, PixelTile *tile, float *gathered) {
    const float *inputs = task.source.data + group * task.packed->inputs_per_group;
    for (std::int64_t run = tiles.begin / plan.run_tiles; run * plan.run_tiles < tiles.end; ++run) {
        const std::int64_t first = run * plan.run_tiles;
        const Range part{larger(tiles.begin - first, 0), smaller(tiles.end - first, plan.run_tiles)};
        prepare_run<V>(task, plan, inputs, run, part, tile, gathered);
        tile += part.size();
        gathered += part.size() * V::gemm_rows * plan.gathered.pixel_stride;
    }
}

/// Panel number `index` of a group.
template <class V>
inline ChannelPanel channel_panel(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                                  std::int64_t index) {
    const PackedConvolution &packed = *task.packed;
    const Range outputs = panel_outputs<V>(plan.group_outputs, index);
    const std::int64_t channel = group * plan.group_outputs + outputs.begin;
    // The next group's outputs follow directly and may be another thread's.
    const bool last_group = group == packed.groups - 1;
    const std::int64_t writable = last_group ? task.destination.writable_channels - channel : outputs.size();
    const Epilogue &epilogue = task.epilogue;
    const bool clamps = epilogue.activation.kind == Activation::Kind::clamp;
    const bool simple = (clamps || epilogue.activation.kind == Activation::Kind::none) &&
                        !epilogue.round_to_half && !epilogue.residual;
    return {.weights = packed.weights.data() +
                       (group * round_up_to_width<V>(plan.group_outputs) + outputs.begin) * plan.depth,
            .bias = packed.bias.data() + channel,
            .channel = channel,
            .channels = outputs.size(),
            .writable = writable,
            .destination_stride = plan.destination_stride,
            .residual_stride = plan.residual_stride,
            .epilogue = &epilogue,
            .plain = simple && writable >= round_up_to_width<V>(outputs.size()),
            .low = clamps ? epilogue.activation.low : -__builtin_inff(),
            .high = clamps ? epilogue.activation.high : __builtin_inff(),
            .ahead = nullptr, // multiply_block() knows
            .ahead_step = 0,
            .ahead_tile = 0};
}

template <class V> Work gemm_work(const ConvolutionTask &task, int threads) {
    const GemmPlan plan = gemm_plan<V>(task, threads);
    return {.items = task.packed->groups * plan.panel_blocks * plan.pixel_blocks,
            .scratch_bytes = plan.scratch_bytes};
}

/// Computes a panel for all tiles of a block, neighbours of the same size together.
template <class V>
inline void multiply_block(const PixelTile *tiles, std::int64_t count, ChannelPanel panel,
                           std::int64_t depth) {
    const std::int64_t vectors = divide_up(panel.channels, V::width);
    const std::int64_t bytes = vectors * V::width * static_cast<std::int64_t>(sizeof(float));
    const char *next_panel = reinterpret_cast<const char *>(panel.weights) + depth * bytes;
    panel.ahead_step = divide_up(bytes, count);
    panel.ahead_tile = panel.ahead_step * depth;
    for (std::int64_t first = 0, next = 0; first < count; first = next) {
        while (next < count && tiles[next].pixels == tiles[first].pixels) ++next;
        panel.ahead = next_panel + first * panel.ahead_tile;
        tiles_function<V>(tiles[first].pixels, vectors)(tiles + first, next - first, panel);
    }
}

template <class V>
inline void run_item(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t item,
                     std::byte *scratch) {
    const std::int64_t pixel_block = item % plan.pixel_blocks, rest = item / plan.pixel_blocks;
    const std::int64_t panel_block = rest % plan.panel_blocks, group = rest / plan.panel_blocks;

    const Range tiles = part_of(plan.runs * plan.run_tiles, plan.pixel_blocks, pixel_block);
    auto *block = reinterpret_cast<PixelTile *>(scratch);
    auto *gathered = reinterpret_cast<float *>(scratch + plan.tile_bytes);
    prepare_tiles<V>(task, plan, group, tiles, block, gathered);

    const Range panels = part_of(plan.panels, plan.panel_blocks, panel_block);
    std::int64_t p = panels.begin;
    if (tiles.size() == 1 && block->pixels == 1) // all panels but a group's last are full
        for (; p + 4 <= panels.end && p + 4 < plan.panels; p += 4)
            multiply_pixel<V>(*block, {channel_panel<V>(task, plan, group, p),
                                       channel_panel<V>(task, plan, group, p + 1),
                                       channel_panel<V>(task, plan, group, p + 2),
                                       channel_panel<V>(task, plan, group, p + 3)});
    for (; p < panels.end; ++p)
        multiply_block<V>(block, tiles.size(), channel_panel<V>(task, plan, group, p), plan.depth);
}

template <class V>
void gemm_run(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
              std::byte *scratch) {
    const GemmPlan plan = gemm_plan<V>(task, threads);
    for (std::int64_t item = begin; item < end; ++item) run_item<V>(task, plan, item, scratch);
}

} // namespace
} // namespace mpscnn::cpu
