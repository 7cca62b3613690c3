#pragma once

// The inner kernels of depthwise convolution: strips of a few neighbouring outputs kept in registers.
//
// Every output is the bias plus its taps in the order (kernel row, kernel column); taps outside the source
// are left out, never multiplied by zero. All kernels below keep that order, so an output has the same bits
// whichever of them computes it.

#include "cpu/kernel_math.h"
#include "cpu/kernels.h"
#include "cpu/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Rows that a depthwise convolution reads: an image, or a ring of rows whose channels have been repeated for
/// a channel multiplier.
struct DepthwiseSource {
    const float *data = nullptr;
    std::ptrdiff_t row_stride = 0, pixel_stride = 0;
    std::int64_t height = 0, width = 0;
    std::int64_t ring = 0;        ///< row y stands at y % ring
    std::int64_t first_chunk = 0; ///< channel vector that stands at `data`

    MPSCNN_INLINE const float *row(std::int64_t y) const {
        if (y < 0 || y >= height) return nullptr;
        return data + (y < ring ? y : y % ring) * row_stride;
    }
};

/// A block of outputs: `rows` neighbouring rows from y, `columns` columns from x which stand `dilation` apart
/// (then the taps of neighbours coincide), channel vectors [chunks).
struct DepthwiseStrip {
    const ConvolutionTask *task = nullptr;
    const DepthwiseSource *source = nullptr;
    std::int64_t image = 0, y = 0, x = 0, column_step = 1;
    std::ptrdiff_t first_offset =
        0;            ///< of the first output's first tap from the start of a row; can be negative
    Range taps{0, 0}; ///< tap columns of the strip, from first_offset, that lie in the source
    Range chunks{0, 0};
};

/// Applies the whole epilogue to rows x columns results, kept as one vector each, and stores them. Out of
/// line: the sums were computed in registers, this is the uncommon rest.
template <class V>
__attribute__((noinline)) void depthwise_finish(const DepthwiseStrip &strip, std::int64_t chunk, int rows,
                                                int columns, const float *results) {
    const ConvolutionTask &task = *strip.task;
    for (int row = 0; row < rows; ++row) {
        for (int column = 0; column < columns; ++column, results += V::width) {
            finish_vector<V>(task.destination, task.epilogue, strip.image, strip.y + row,
                             strip.x + column * strip.column_step, chunk * V::width, V::load(results));
        }
    }
}

/// Where a strip's outputs go, taken out of the strip once so that the loop over channels only adds.
template <class V> struct DepthwiseOutput {
    float *first;
    std::ptrdiff_t row_step, column_step;
    bool clamps;
    Clamp<V> clamp;

    explicit MPSCNN_INLINE DepthwiseOutput(const DepthwiseStrip &strip)
        : first(pixel_at(strip.task->destination, strip.image, strip.y, strip.x)),
          row_step(strip.task->destination.row_stride),
          column_step(strip.task->destination.pixel_stride * strip.column_step),
          clamps(is_clamp(strip.task->epilogue)), clamp(strip.task->epilogue.activation) {}
};

/// Finishes and stores the sums of channel vector `chunk`. `partial`: it has fewer channels than lanes.
template <class V, bool partial, int rows, int columns>
MPSCNN_INLINE void depthwise_store(const DepthwiseStrip &strip, std::int64_t chunk,
                                   const DepthwiseOutput<V> &output,
                                   const typename V::reg (&sums)[rows][columns]) {
    if (output.clamps) {
        float *first = output.first + chunk * V::width;
        const std::int64_t writable = strip.task->destination.writable_channels - chunk * V::width;
#pragma GCC unroll 8
        for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
            for (int column = 0; column < columns; ++column) {
                float *to = first + row * output.row_step + column * output.column_step;
                const auto value = output.clamp(sums[row][column]);
                if (partial)
                    store_lanes<V>(to, value, writable);
                else
                    V::store(to, value);
            }
        }
        return;
    }
    alignas(64) float results[rows * columns * V::width];
#pragma GCC unroll 8
    for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
        for (int column = 0; column < columns; ++column) {
            V::store(results + (row * columns + column) * V::width, sums[row][column]);
        }
    }
    depthwise_finish<V>(strip, chunk, rows, columns, results);
}

/// Kernel and stride known at compile time.
template <int kernel_height_, int kernel_width_, int vertical_stride_, int horizontal_stride_>
struct DepthwiseShape {
    static constexpr int kernel_height = kernel_height_, kernel_width = kernel_width_;
    static constexpr int vertical_stride = vertical_stride_, horizontal_stride = horizontal_stride_;
    static constexpr int source_rows(int rows) { return (rows - 1) * vertical_stride + kernel_height; }
    static constexpr int tap_columns(int columns) { return (columns - 1) * horizontal_stride + kernel_width; }
};

/// rows x columns outputs of whole channel vectors. Walks over the source: a loaded vector serves all sums
/// that contain it. With `edge`, rows may be null and tap columns may lie outside, the latter among the first
/// and last kernel_width - 1 only.
template <class V, class Shape, int rows, int columns, bool edge>
__attribute__((noinline)) void depthwise_strip(const DepthwiseStrip &strip, const float *const *source_rows) {
    constexpr int height = Shape::kernel_height, width = Shape::kernel_width;
    constexpr int source_height = Shape::source_rows(rows), tap_columns = Shape::tap_columns(columns);
    const PackedConvolution &packed = *strip.task->packed;
    const std::ptrdiff_t step =
        strip.source->pixel_stride * (Shape::horizontal_stride == 1 ? strip.column_step : 1);
    const DepthwiseOutput<V> output(strip);
    const float *weights = packed.weights.data() + strip.chunks.begin * height * width * V::width;
    for (std::int64_t chunk = strip.chunks.begin; chunk < strip.chunks.end; ++chunk) {
        typename V::reg sums[rows][columns];
        const auto bias = V::load(packed.bias.data() + chunk * V::width);
#pragma GCC unroll 8
        for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
            for (int column = 0; column < columns; ++column) sums[row][column] = bias;
        }
        const std::ptrdiff_t first = strip.first_offset + (chunk - strip.source->first_chunk) * V::width;
#pragma GCC unroll 16
        for (int i = 0; i < source_height; ++i) {
            const float *source = source_rows[i];
            if (edge && !source) continue;
#pragma GCC unroll 16
            for (int j = 0; j < tap_columns; ++j) {
                const bool may_be_outside = j < width - 1 || j > tap_columns - width;
                if (edge && may_be_outside && (j < strip.taps.begin || j >= strip.taps.end)) continue;
                const auto value = V::load(source + (first + j * step));
#pragma GCC unroll 8
                for (int row = 0; row < rows; ++row) {
                    const int ky = i - row * Shape::vertical_stride;
                    if (ky < 0 || ky >= height) continue;
#pragma GCC unroll 8
                    for (int column = 0; column < columns; ++column) {
                        const int kx = j - column * Shape::horizontal_stride;
                        if (kx < 0 || kx >= width) continue;
                        const auto weight = V::load(weights + (ky * width + kx) * V::width);
                        sums[row][column] = V::fma(value, weight, sums[row][column]);
                    }
                }
            }
        }
        depthwise_store<V, false>(strip, chunk, output, sums);
        weights += height * width * V::width;
    }
}

/// One row of `columns` outputs for any window, tap by tap. All outputs have the same tap columns inside the
/// source, [strip.taps) of the kernel. With `partial`, the only chunk has fewer channels than a vector.
template <class V, int columns, bool partial>
__attribute__((noinline)) void depthwise_any(const DepthwiseStrip &strip) {
    const ConvolutionTask &task = *strip.task;
    const DepthwiseSource &source = *strip.source;
    const PackedConvolution &packed = *task.packed;
    const DepthwiseOutput<V> output(strip);
    const std::ptrdiff_t tap_step = source.pixel_stride * task.horizontal.dilation;
    const std::ptrdiff_t output_step = source.pixel_stride * task.horizontal.stride * strip.column_step;
    for (std::int64_t chunk = strip.chunks.begin; chunk < strip.chunks.end; ++chunk) {
        const std::int64_t lanes = task.destination.channels - chunk * V::width;
        typename V::reg sums[1][columns];
#pragma GCC unroll 8
        for (int n = 0; n < columns; ++n) sums[0][n] = V::load(packed.bias.data() + chunk * V::width);
        const float *weights =
            packed.weights.data() + chunk * packed.kernel_height * packed.kernel_width * V::width;
        const std::ptrdiff_t first = strip.first_offset + (chunk - source.first_chunk) * V::width;
        for (std::int64_t ky = 0; ky < packed.kernel_height; ++ky) {
            const float *row = source.row(strip.y * task.vertical.stride - task.vertical.before +
                                          ky * task.vertical.dilation);
            if (!row) continue;
            for (std::int64_t kx = strip.taps.begin; kx < strip.taps.end; ++kx) {
                const auto weight = V::load(weights + (ky * packed.kernel_width + kx) * V::width);
                const float *at = row + (first + kx * tap_step);
#pragma GCC unroll 8
                for (int n = 0; n < columns; ++n) {
                    const auto value = partial ? V::load_partial(at + n * output_step, lanes)
                                               : V::load(at + n * output_step);
                    sums[0][n] = V::fma(value, weight, sums[0][n]);
                }
            }
        }
        depthwise_store<V, partial>(strip, chunk, output, sums);
    }
}

} // namespace
} // namespace mpscnn::cpu
