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
    std::int64_t run_pixels, runs,
        run_tiles; ///< pixels at a constant stride, and the tiles they are cut into
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

/// Cuts the layer into items: inputs of a block of tiles should stay in the second-level cache while all
/// panels of weights pass; several threads need some items each, unless there is too little to do.
template <class V> inline void plan_blocks(const ConvolutionTask &task, int threads, GemmPlan &plan) {
    constexpr std::int64_t cached_floats = 48 * 1024, item_operations = 100'000, tiles_for_a_panel = 16;
    const std::int64_t tiles = plan.runs * plan.run_tiles, groups = task.packed->groups;
    const std::int64_t operations = plan.runs * plan.run_pixels * plan.depth * plan.group_outputs * groups;
    const std::int64_t wanted =
        threads == 1 ? 1 : larger(1, smaller(4 * threads, operations / item_operations));
    const std::int64_t cached_tiles = larger(1, cached_floats / (V::gemm_rows * plan.depth));
    plan.pixel_blocks = larger(divide_up(tiles, cached_tiles), smaller(wanted, tiles / tiles_for_a_panel));
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
    plan.panels = divide_up(plan.group_outputs, V::gemm_vectors * V::width);
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

/// Fills in where tile number `index` reads and writes; gathers its windows at `gathered` when it must.
template <class V>
inline void prepare_tile(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                         std::int64_t index, PixelTile &tile, float *gathered) {
    const ConstView &source = task.source;
    const View &output = task.destination;
    // Even sizes: 49 pixels are not eight tiles of 6 and one of 1, which would cost as much as a whole one.
    const std::int64_t in_run = index % plan.run_tiles, size = plan.run_pixels / plan.run_tiles;
    const std::int64_t extra = plan.run_pixels % plan.run_tiles;
    const std::int64_t first =
        index / plan.run_tiles * plan.run_pixels + in_run * size + smaller(in_run, extra);
    tile.pixels = size + (in_run < extra);

    const PixelPosition at = pixel_position(output, first);
    tile.destination =
        output.data + at.image * output.image_stride + at.y * output.row_stride + at.x * output.pixel_stride;
    tile.residual = nullptr;
    if (const ConstView *residual = task.epilogue.residual)
        tile.residual = residual->data + at.image * residual->image_stride + at.y * residual->row_stride +
                        at.x * residual->pixel_stride;

    const float *inputs = source.data + group * task.packed->inputs_per_group;
    const bool in_place =
        plan.inside || (windows_inside(task.vertical, at.y, at.y, source.height) &&
                        windows_inside(task.horizontal, at.x, at.x + tile.pixels - 1, source.width));
    if (in_place && !plan.gather_all) {
        tile.pieces = &plan.direct;
        tile.source = inputs + at.image * source.image_stride +
                      window_begin(task.vertical, at.y) * source.row_stride +
                      window_begin(task.horizontal, at.x) * source.pixel_stride;
        return;
    }
    tile.pieces = &plan.gathered;
    tile.source = gathered;
    for (std::int64_t i = 0; i < tile.pixels; ++i) {
        const PixelPosition pixel = pixel_position(output, first + i);
        gather_window<V>(task, inputs + pixel.image * source.image_stride, pixel.y, pixel.x,
                         gathered + i * plan.gathered.pixel_stride);
    }
}

/// Panel number `index` of a group.
template <class V>
inline ChannelPanel channel_panel(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t group,
                                  std::int64_t index) {
    const PackedConvolution &packed = *task.packed;
    const std::int64_t begin = index * V::gemm_vectors * V::width;
    const std::int64_t channel = group * plan.group_outputs + begin;
    const std::int64_t channels = smaller(plan.group_outputs - begin, V::gemm_vectors * V::width);
    // The next group's outputs follow directly and may be another thread's.
    const bool last_group = group == packed.groups - 1;
    return {.weights = packed.weights.data() +
                       (group * round_up_to_width<V>(plan.group_outputs) + begin) * plan.depth,
            .bias = packed.bias.data() + channel,
            .channel = channel,
            .channels = channels,
            .writable = last_group ? task.destination.writable_channels - channel : channels,
            .destination_stride = plan.destination_stride,
            .residual_stride = plan.residual_stride,
            .epilogue = &task.epilogue};
}

template <class V> Work gemm_work(const ConvolutionTask &task, int threads) {
    const GemmPlan plan = gemm_plan<V>(task, threads);
    return {.items = task.packed->groups * plan.panel_blocks * plan.pixel_blocks,
            .scratch_bytes = plan.scratch_bytes};
}

template <class V>
inline void run_item(const ConvolutionTask &task, const GemmPlan &plan, std::int64_t item,
                     std::byte *scratch) {
    const std::int64_t pixel_block = item % plan.pixel_blocks, rest = item / plan.pixel_blocks;
    const std::int64_t panel_block = rest % plan.panel_blocks, group = rest / plan.panel_blocks;

    const std::int64_t tiles = plan.runs * plan.run_tiles;
    const std::int64_t first_tile = tiles * pixel_block / plan.pixel_blocks;
    const std::int64_t count = tiles * (pixel_block + 1) / plan.pixel_blocks - first_tile;
    auto *block = reinterpret_cast<PixelTile *>(scratch);
    auto *gathered = reinterpret_cast<float *>(scratch + plan.tile_bytes);
    for (std::int64_t i = 0; i < count; ++i)
        prepare_tile<V>(task, plan, group, first_tile + i, block[i],
                        gathered + i * V::gemm_rows * plan.gathered.pixel_stride);

    const std::int64_t end = plan.panels * (panel_block + 1) / plan.panel_blocks;
    for (std::int64_t p = plan.panels * panel_block / plan.panel_blocks; p < end; ++p) {
        const ChannelPanel panel = channel_panel<V>(task, plan, group, p);
        const std::int64_t vectors = divide_up(panel.channels, V::width);
        for (std::int64_t i = 0; i < count; ++i) tile_function<V>(block[i].pixels, vectors)(block[i], panel);
    }
}

template <class V>
void gemm_run(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
              std::byte *scratch) {
    const GemmPlan plan = gemm_plan<V>(task, threads);
    for (std::int64_t item = begin; item < end; ++item) run_item<V>(task, plan, item, scratch);
}

} // namespace
} // namespace mpscnn::cpu
