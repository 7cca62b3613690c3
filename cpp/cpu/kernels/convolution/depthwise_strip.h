#pragma once

// The inner kernels of depthwise convolution: strips of a few neighbouring outputs kept in registers.
//
// Every output is the bias plus its taps in the order (kernel row, kernel column); taps outside the source
// are left out, never multiplied by zero. All kernels below keep that order, so an output has the same bits
// whichever of them computes it.
//
// Source and results are of V's elements; products and sums are floats whatever these are.
//
// Registers: two rows of up to 7 outputs (4 with 16 registers), one source vector, and the weights as far as
// there is room. A source vector serves all outputs of the strip whose windows hold it: 3x3 with stride 1
// takes 126 FMAs and 46 loads for two rows of 7 with AVX-512, 72 and 41 for two rows of 4 with AVX2.
// Bound by FMAs while the source is in L1, by the caches and memory otherwise,
// hence `prefetches`. With strides of 2 windows share less, so that loads count as much; dilation shares as
// much as none, since a strip's outputs then are a dilation apart.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/kernels/convolution/pixel_epilogue.h"
#include "cpu/kernels/movement/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// Rows that a depthwise convolution reads: an image, or a ring of rows whose channels have been repeated for
/// a channel multiplier.
struct DepthwiseSource {
    const float *data = nullptr; ///< where elements begin, as in a view
    std::ptrdiff_t row_stride = 0, pixel_stride = 0;
    std::int64_t height = 0, width = 0;
    std::int64_t ring = 0;        ///< row y stands at y % ring
    std::int64_t first_chunk = 0; ///< channel vector that stands at `data`

    template <class Element> MPSCNN_INLINE const Element *row(std::int64_t y) const {
        if (y < 0 || y >= height) return nullptr;
        return reinterpret_cast<const Element *>(data) + (y < ring ? y : y % ring) * row_stride;
    }
};

/// A block of outputs: rows from y and columns from x on, channel vectors [chunks). Neighbours in the block
/// are `row_step` and `column_step` apart: the dilation, with which their taps coincide.
struct DepthwiseStrip {
    const ConvolutionTask *task = nullptr;
    const DepthwiseSource *source = nullptr;
    std::int64_t image = 0, y = 0, x = 0, row_step = 1, column_step = 1;
    std::ptrdiff_t first_offset = 0; ///< first tap of the first output, from the row's start; may be negative
    Range taps{0, 0};                ///< tap columns of the strip, from first_offset, that lie in the source
    Range chunks{0, 0};
    std::int64_t count = 1;  ///< this many of them one after the other, alike, where can_repeat()
    bool prefetches = false; ///< the source does not fit L1 and L2: ask for the next strip's pixels in time
};

/// Where a kernel stores its sums, within limits: vector i of strip.chunks of an output at
/// first + row * row_step + column * column_step + i * width.
template <class V> struct DepthwiseOutput {
    typename V::element *first;
    std::ptrdiff_t row_step, column_step;
    std::int64_t writable; ///< elements from `first` on, of one output
    Limits limits;
};

/// Columns of the widest strip, two rows high: as many sums as leave registers for a source vector and
/// weights.
template <class V> inline constexpr int depthwise_strip_columns = V::registers >= 32 ? 7 : 4;

/// Whether there are kernels for strips of this many columns: with wide ones 7, 4, 2 and 1.
template <class V> constexpr bool has_strip_columns(std::int64_t columns) {
    return depthwise_strip_columns<V> == 4 || columns == 7 || columns == 4 || columns == 2 || columns == 1;
}

/// Columns of the next strip where `left` are left: few strips, of similar sizes.
template <class V> inline std::int64_t next_strip_columns(std::int64_t left) {
    constexpr std::int64_t most = depthwise_strip_columns<V>;
    if (left >= 3 * most) return most;                             // spares the divisions
    std::int64_t columns = divide_up(left, divide_up(left, most)); // strips of one size
    while (columns < left && columns < most && !has_strip_columns<V>(columns)) ++columns;
    while (!has_strip_columns<V>(columns)) --columns;
    return columns;
}

/// Whether windows of 5x5, and the usual padding of 3x3 ones, do with the kernels for any: those of their own
/// are half of a set's code, and few processors without FMAs are left.
template <class V> inline constexpr bool has_few_strips = has_bfloat16<V> || !V::has_fma;

/// Applies the epilogue to the sums of a strip, rows x columns outputs of its channel vectors, that a kernel
/// left in a buffer, and stores them. Out of line, or every shape of a window would hold all activations.
template <class V>
__attribute__((noinline)) void finish_strip(const DepthwiseStrip &strip, float *sums, int rows, int columns) {
    const ConvolutionTask &task = *strip.task;
    const std::int64_t pixel = strip.chunks.size() * V::width;
    const bool activated = call_function(task.epilogue.activation, sums, rows * columns * pixel);
    for (int row = 0; row < rows; ++row)
        for (int column = 0; column < columns; ++column, sums += pixel)
            for (std::int64_t i = 0; i < strip.chunks.size(); ++i)
                finish_vector<V>(task.destination, task.epilogue, strip.image, strip.y + row * strip.row_step,
                                 strip.x + column * strip.column_step, (strip.chunks.begin + i) * V::width,
                                 V::load(sums + i * V::width), activated);
}

/// Whether kernels may compute several strips in a call: what they store is all that is to be done.
template <class V> MPSCNN_INLINE bool can_repeat(const Epilogue &epilogue) {
    return has_bfloat16<V> || (is_clamp(epilogue) && !epilogue.rounds);
}

/// Has `kernel` compute the outputs of a strip, rows x columns of them, and applies the epilogue: in the
/// kernel if that is all, otherwise to a few vectors at a time that the kernel leaves in a buffer. `strip` is
/// as before in the end.
template <class V, class Kernel>
MPSCNN_INLINE void depthwise_compute(DepthwiseStrip &strip, int rows, int columns, Kernel kernel) {
    const Epilogue &epilogue = strip.task->epilogue;
    const View &to = strip.task->destination;
    const Limits limits = limits_of(epilogue.activation);
    const auto in_tensor = [&] {
        const std::int64_t channel = strip.chunks.begin * V::width;
        return DepthwiseOutput<V>{pixel_at<typename V::element>(to, strip.image, strip.y, strip.x) + channel,
                                  to.row_stride * strip.row_step, to.pixel_stride * strip.column_step,
                                  to.writable_channels - channel, limits};
    };
    if constexpr (has_bfloat16<V>) {
        kernel(strip, in_tensor()); // other epilogues do not come here
    } else {
        constexpr std::int64_t vectors = 8;
        alignas(64) float buffer[2 * depthwise_strip_columns<V> * vectors * V::width];
        const bool direct = is_clamp(epilogue);
        const Range all = strip.chunks;
        do { // one call for both cases: `kernel` is inlined
            if (!direct) strip.chunks.end = min(strip.chunks.begin + vectors, all.end);
            const std::ptrdiff_t pixel = strip.chunks.size() * V::width;
            DepthwiseOutput<V> output{buffer, columns * pixel, pixel, pixel, {}};
            if (direct) output = in_tensor();
            kernel(strip, output);
            if (!direct)
                finish_strip<V>(strip, buffer, rows, columns);
            else if (epilogue.rounds)
                for (int row = 0; row < rows; ++row)
                    round_stored<V>(output.first + row * output.row_step, output.column_step, columns,
                                    min(strip.chunks.size() * V::width, output.writable));
            strip.chunks = {strip.chunks.end, all.end};
        } while (!strip.chunks.empty());
        strip.chunks = all;
    }
}

/// Kernel and stride known at compile time.
template <int kernel_height_, int kernel_width_, int vertical_stride_, int horizontal_stride_>
struct DepthwiseShape {
    static constexpr int kernel_height = kernel_height_, kernel_width = kernel_width_;
    static constexpr int vertical_stride = vertical_stride_, horizontal_stride = horizontal_stride_;
    static constexpr int source_rows(int rows) { return (rows - 1) * vertical_stride + kernel_height; }
    static constexpr int tap_columns(int columns) { return (columns - 1) * horizontal_stride + kernel_width; }
    /// Whether strips are two rows high wherever they can be: two rows of 5x5 windows with stride 2 need more
    /// registers than AVX2 has.
    static constexpr bool pairs_rows = kernel_width * horizontal_stride < 10;
};

/// In place of a number of tap columns outside the source: not known at compile time.
inline constexpr int any_number = -1;

/// The sums of rows x columns outputs, of one channel vector whose first tap lies `first` after the sources'
/// beginnings; tap columns are `step` apart. Walks over the source: a loaded vector serves all sums that
/// contain it. Rows may be null unless `all_rows`. Of the tap columns, the first `outside_left` and the last
/// `outside_right` are outside the source, at most kernel_width - 1 each; `taps` are inside.
template <class V, class Shape, int rows, int columns, bool all_rows, int outside_left, int outside_right>
MPSCNN_INLINE void depthwise_sums(const typename V::element *const *sources, std::ptrdiff_t first,
                                  std::ptrdiff_t step, const Range &taps, const float *weights,
                                  typename V::reg (&sums)[rows][columns]) {
    constexpr int height = Shape::kernel_height, width = Shape::kernel_width;
    constexpr int source_height = Shape::source_rows(rows), tap_columns = Shape::tap_columns(columns);
#pragma GCC unroll 16
    for (int i = 0; i < source_height; ++i) {
        const auto *source = sources[i];
        if (!all_rows && !source) continue;
        const auto *at = source + first; // of columns j, j + 1 and j + 2 for j = 0, 3, 6, ...
#pragma GCC unroll 16
        for (int j = 0; j < tap_columns; ++j) {
            if (j % 3 == 0) {
                if (j > 0) at += 3 * step;
                // Hides where it comes from: compilers would keep all columns' addresses, in memory.
                __asm__("" : "+r"(at));
            }
            if (j < width - 1 && j < (outside_left == any_number ? taps.begin : outside_left)) continue;
            if (j > tap_columns - width &&
                j >= (outside_right == any_number ? taps.end : tap_columns - outside_right))
                continue;
            auto value = V::load(at + (j % 3) * step);
            if constexpr (Shape::horizontal_stride == 1) keep_in_register(value);
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
}

/// strip.count strips of rows x columns outputs, whole channel vectors. The rest is as for depthwise_sums().
template <class V, class Shape, int rows, int columns, bool all_rows, int outside_left, int outside_right>
__attribute__((noinline)) void depthwise_strip(const DepthwiseStrip &strip,
                                               const typename V::element *const *source_rows,
                                               const DepthwiseOutput<V> &output) {
    constexpr std::int64_t kernel_floats = Shape::kernel_height * Shape::kernel_width * V::width;
    constexpr int source_height = Shape::source_rows(rows);
    const PackedConvolution &packed = *strip.task->packed;
    const std::ptrdiff_t step =
        strip.source->pixel_stride * (Shape::horizontal_stride == 1 ? strip.column_step : 1);
    const Clamp<V> clamp(output.limits);
    const std::ptrdiff_t row_step = output.row_step, column_step = output.column_step;
    using Element = typename V::element;
    // Copies that no store can alias stay in registers.
    const Element *sources[source_height];
    for (int i = 0; i < source_height; ++i) sources[i] = source_rows[i];
    const Range taps = strip.taps;
    // The next strip's own columns, a share of them with each channel vector: as many floats as these columns
    // have for the vector, though not the same ones.
    constexpr int share = columns * Shape::horizontal_stride * V::width, line = 64 / sizeof(Element);
    Element *strip_to = output.first;
    std::ptrdiff_t strip_first = strip.first_offset;
    for (std::int64_t strips = strip.count; strips > 0; --strips) {
        Element *to = strip_to;
        std::ptrdiff_t first = strip_first + (strip.chunks.begin - strip.source->first_chunk) * V::width;
        std::ptrdiff_t ahead = strip_first + Shape::tap_columns(columns) * step;
        const float *weights = packed.weights.data() + strip.chunks.begin * kernel_floats;
        const float *biases = packed.bias.data() + strip.chunks.begin * V::width;
        strip_to += columns * column_step;
        strip_first += columns * Shape::horizontal_stride * step;
        for (std::int64_t left = strip.chunks.size(); left > 0; --left) {
            if (strip.prefetches) {
#pragma GCC unroll 16
                for (int i = 0; i < source_height; ++i) {
                    if (!all_rows && !sources[i]) continue;
#pragma GCC unroll 16
                    for (int at = 0; at < share; at += line) __builtin_prefetch(sources[i] + ahead + at);
                }
                ahead += share;
            }
            typename V::reg sums[rows][columns];
            const auto bias = V::load(biases);
#pragma GCC unroll 8
            for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
                for (int column = 0; column < columns; ++column) sums[row][column] = bias;
            }
            depthwise_sums<V, Shape, rows, columns, all_rows, outside_left, outside_right>(
                sources, first, step, taps, weights, sums);
#pragma GCC unroll 8
            for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
                for (int column = 0; column < columns; ++column)
                    V::store(to + row * row_step + column * column_step, clamp(sums[row][column]));
            }
            to += V::width;
            first += V::width;
            biases += V::width;
            weights += kernel_floats;
        }
    }
}

/// Generic fallback: a row of `columns` outputs, tap by tap, `vectors` channel vectors at a time from the
/// first of strip.chunks. All outputs have the same tap columns inside the source, [strip.taps) of the
/// kernel. With `partial`, the only vector has fewer channels than lanes.
template <class V, int columns, int vectors, bool partial>
__attribute__((noinline)) void depthwise_any(const DepthwiseStrip &strip, const DepthwiseOutput<V> &output,
                                             std::int64_t chunk) {
    const ConvolutionTask &task = *strip.task;
    const DepthwiseSource &source = *strip.source;
    const PackedConvolution &packed = *task.packed;
    const std::ptrdiff_t tap_step = source.pixel_stride * task.horizontal.dilation;
    const std::ptrdiff_t output_step = source.pixel_stride * task.horizontal.stride;
    const std::ptrdiff_t vector_weights = packed.kernel_height * packed.kernel_width * V::width;
    const std::int64_t lanes = task.destination.channels - chunk * V::width;
    const std::ptrdiff_t first = strip.first_offset + (chunk - source.first_chunk) * V::width;
    typename V::reg sums[columns][vectors];
#pragma GCC unroll 8
    for (int n = 0; n < columns; ++n) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) sums[n][v] = V::load(packed.bias.data() + (chunk + v) * V::width);
    }
    for (std::int64_t ky = 0; ky < packed.kernel_height; ++ky) {
        const auto *row = source.row<typename V::element>(window_begin(task.vertical, strip.y) +
                                                          ky * task.vertical.dilation);
        if (!row) continue;
        const float *weights =
            packed.weights.data() + chunk * vector_weights + ky * packed.kernel_width * V::width;
        for (std::int64_t kx = strip.taps.begin; kx < strip.taps.end; ++kx) {
            const auto *at = row + (first + kx * tap_step);
#pragma GCC unroll 8
            for (int v = 0; v < vectors; ++v) {
                const auto weight = V::load(weights + kx * V::width + v * vector_weights);
#pragma GCC unroll 8
                for (int n = 0; n < columns; ++n) {
                    const auto *from = at + n * output_step + v * V::width;
                    const auto value = partial ? V::load_partial(from, lanes) : V::load(from);
                    sums[n][v] = V::fma(value, weight, sums[n][v]);
                }
            }
        }
    }
    const Clamp<V> clamp(output.limits);
    const std::int64_t stored = (chunk - strip.chunks.begin) * V::width;
#pragma GCC unroll 8
    for (int n = 0; n < columns; ++n) {
#pragma GCC unroll 8
        for (int v = 0; v < vectors; ++v) {
            auto *to = output.first + n * output.column_step + stored + v * V::width;
            if (partial)
                store_lanes<V>(to, clamp(sums[n][v]), output.writable - stored);
            else
                V::store(to, clamp(sums[n][v]));
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
