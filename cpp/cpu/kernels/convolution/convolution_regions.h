#pragma once

// Divides the output pixels of a convolution into regions whose windows have the same taps inside the source.
// A region's windows are read in place. Taps outside the source, which would only add zeros, are skipped.

#include "cpu/isa/kernel_math.h"
#include "cpu/kernels/convolution/gemm_tile.h"
#include "cpu/kernels/shared/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// Outputs along one axis whose windows have the same taps inside the source.
struct Segment {
    Range outputs, taps;
};

struct Segments {
    static constexpr int max_count = 7; // a window of 7 with SAME padding has 7 segments
    Segment list[max_count];
    int count = 0;
};

/// Return the segments of an axis. Return none if there would be too many, or if a window has no tap inside.
inline Segments find_segments(const WindowAxis &axis, std::int64_t outputs, std::int64_t extent) {
    Segments found;
    const std::int64_t reach = (axis.kernel - 1) * axis.dilation;
    for (std::int64_t output = 0, end = 0; output < outputs; output = end) {
        const Range taps = taps_within(axis, output, 0, extent);
        if (taps.empty() || found.count == Segments::max_count) return {};
        end = output + 1;
        if (taps.size() == axis.kernel) { // skip ahead in a long row
            const std::int64_t last = (extent - 1 - reach + axis.before) / axis.stride;
            end = clamped(last + 1, end, outputs);
        } else {
            while (end < outputs && taps_within(axis, end, 0, extent) == taps) ++end;
        }
        found.list[found.count++] = {{output, end}, taps};
    }
    return found;
}

/// The position of an output pixel in a region.
struct PixelPosition {
    std::int64_t image, y, x;
};

/// The distances of a region's adjacent pixels in a tensor, or of their windows in the source.
struct PixelSteps {
    std::ptrdiff_t image, row, column;

    std::ptrdiff_t offset(const PixelPosition &at) const {
        return at.image * image + at.y * row + at.x * column;
    }
};

template <class AnyView> inline PixelSteps pixel_steps(const AnyView &view) {
    return {view.image_stride, view.row_stride, view.pixel_stride};
}

struct Region {
    std::int64_t batch, height, width;
    PixelSteps source, destination, residual;
    std::ptrdiff_t first_source; ///< offset of the first pixel's first tap inside the source
    std::ptrdiff_t first_destination, first_residual;
    std::int64_t taps;       ///< taps of a window inside the source
    std::int64_t run_pixels; ///< pixels of a run; their distance is constant in all tensors
    std::int64_t run_tiles, runs;
    std::int64_t first_tile; ///< number of the region's first tile
    PixelRun run;

    std::int64_t tiles() const { return runs * run_tiles; }
    PixelPosition position(std::int64_t pixel) const {
        const std::int64_t row = pixel / width;
        return {row / height, row % height, pixel % width};
    }
};

inline std::ptrdiff_t constant_stride(const Region &region, const PixelSteps &steps) {
    return region.width > 1 ? steps.column : region.height > 1 ? steps.row : steps.image;
}

/// Return the number of a region's pixels that have one constant distance from one to the next.
inline std::int64_t longest_run(const Region &region, const PixelSteps &steps) {
    const std::ptrdiff_t stride = constant_stride(region, steps);
    const std::int64_t pixels = region.height * region.width;
    if (region.width > 1 && region.height > 1 && steps.row != region.width * stride) return region.width;
    return region.batch == 1 || pixels == 1 || steps.image == pixels * stride ? region.batch * pixels
                                                                              : pixels;
}

/// Return the time to multiply a region's windows by a panel of weights, in units of one pixel and tap.
template <class V> inline std::int64_t region_cost(const Region &region) {
    // Tiles with fewer rows take as long as this many, because FMAs wait for each other.
    constexpr std::int64_t busy_rows = 8 / V::gemm_vectors;
    return region.taps * region.runs * max(region.run_pixels, region.run_tiles * busy_rows);
}

template <class V>
inline void cut_into_runs(const ConvolutionTask &task, Region &region, bool reads_source,
                          std::int64_t tile_rows) {
    region.run_pixels = longest_run(region, region.destination);
    if (reads_source) region.run_pixels = min(region.run_pixels, longest_run(region, region.source));
    if (task.epilogue.residual)
        region.run_pixels = min(region.run_pixels, longest_run(region, region.residual));
    if (task.continues) region.run_pixels = min(region.run_pixels, region.height * region.width);
    region.run_tiles = divide_up(region.run_pixels, tile_rows);
    region.runs = region.batch * region.height * region.width / region.run_pixels;
    region.run.pixel_stride = constant_stride(region, region.source);
    region.run.destination_stride = constant_stride(region, region.destination);
    region.run.residual_stride = constant_stride(region, region.residual);
    region.run.start_stride = 0;
}

template <class Number> inline void swap(Number &a, Number &b) {
    const Number kept = a;
    a = b;
    b = kept;
}

inline void transpose(Region &region) {
    swap(region.height, region.width);
    swap(region.source.row, region.source.column);
    swap(region.destination.row, region.destination.column);
    swap(region.residual.row, region.residual.column);
}

/// Describe the taps of a region's windows: their place in the weights, and in the source as few contiguous
/// pieces. If products are summed in blocks (sums_in_blocks), every tap begins a new block, so taps are not
/// joined.
template <class V>
inline void find_pieces(const ConvolutionTask &task, const Range &rows, const Range &columns, PixelRun &run) {
    const ConstView &source = task.source;
    const std::int64_t inputs = task.packed->inputs_per_group, width = task.horizontal.kernel;
    run.rows = rows.size();
    run.columns = columns.size();
    run.length = inputs;
    run.row_stride = source.row_stride * task.vertical.dilation;
    run.column_stride = source.pixel_stride * task.horizontal.dilation;
    run.first_weight = (rows.begin * width + columns.begin) * inputs;
    run.skipped_weights = (width - columns.size()) * inputs;
    if (sums_in_blocks<V> || (run.columns > 1 && run.column_stride != run.length)) return;
    run.length *= run.columns;
    run.columns = 1;
    if (run.rows > 1 && (run.row_stride != run.length || run.skipped_weights != 0)) return;
    run.length *= run.rows;
    run.rows = 1;
}

/// Make the region of the outputs in a segment of rows and a segment of columns. Its pixels are numbered
/// along rows or along columns, whichever is faster.
template <class V>
inline void make_region(const ConvolutionTask &task, const Segment &rows, const Segment &columns,
                        std::int64_t tile_rows, Region &region) {
    const ConstView &source = task.source;
    region.batch = task.destination.batch;
    region.height = rows.outputs.size();
    region.width = columns.outputs.size();
    region.taps = rows.taps.size() * columns.taps.size();
    region.source = {source.image_stride, task.vertical.stride * source.row_stride,
                     task.horizontal.stride * source.pixel_stride};
    region.destination = pixel_steps(task.destination);
    const ConstView *residual = task.epilogue.residual;
    region.residual = residual ? pixel_steps(*residual) : PixelSteps{};
    const PixelPosition first{0, rows.outputs.begin, columns.outputs.begin};
    region.first_destination = region.destination.offset(first);
    region.first_residual = region.residual.offset(first);
    const std::int64_t y = window_begin(task.vertical, first.y) + rows.taps.begin * task.vertical.dilation;
    const std::int64_t x =
        window_begin(task.horizontal, first.x) + columns.taps.begin * task.horizontal.dilation;
    region.first_source = y * source.row_stride + x * source.pixel_stride;
    find_pieces<V>(task, rows.taps, columns.taps, region.run);

    cut_into_runs<V>(task, region, true, tile_rows);
    if (region.runs == 1 && region.run_tiles == 1) return; // cannot become faster
    const std::int64_t cost = region_cost<V>(region);
    transpose(region);
    cut_into_runs<V>(task, region, true, tile_rows);
    if (region_cost<V>(region) < cost) return;
    transpose(region);
    cut_into_runs<V>(task, region, true, tile_rows);
}

/// Make one region of all outputs, whose windows are gathered into rows of `depth` floats, `pitch` floats
/// apart.
template <class V>
inline Region make_gathered_region(const ConvolutionTask &task, std::int64_t depth, std::int64_t pitch,
                                   std::int64_t tile_rows) {
    const ConstView *residual = task.epilogue.residual;
    Region region;
    region.batch = task.destination.batch;
    region.height = task.destination.height;
    region.width = task.destination.width;
    region.taps = task.vertical.kernel * task.horizontal.kernel;
    region.source = {};
    region.destination = pixel_steps(task.destination);
    region.residual = residual ? pixel_steps(*residual) : PixelSteps{};
    region.first_source = region.first_destination = region.first_residual = 0;
    region.run = {};
    region.run.rows = region.run.columns = 1;
    region.run.length = depth;
    if constexpr (sums_in_blocks<V>) {
        region.run.columns = region.taps;
        region.run.length = region.run.column_stride = task.packed->inputs_per_group;
    }
    cut_into_runs<V>(task, region, false, tile_rows);
    region.run.pixel_stride = pitch;
    return region;
}

} // namespace
} // namespace mpscnn::cpu
