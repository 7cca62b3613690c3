#pragma once

// The inner kernels of depthwise convolution. They compute strips, which are a few adjacent outputs in
// registers.
//
// Every output is the bias plus its taps in the order (kernel row, kernel column). Taps outside the source
// are left out instead of multiplied by zero. All kernels here keep this order, so an output has the same
// bits whichever kernel computes it.
//
// Source and results have elements of type V::element. Products and sums are always floats.
//
// Registers hold two rows of up to 7 outputs (4 with 16 registers), one source vector, and as many weights as
// fit. Each source vector is used for all outputs of the strip whose windows contain it. 3x3 with stride 1
// takes 126 FMAs and 46 loads for two rows of 7 with AVX-512, and 72 and 41 for two rows of 4 with AVX2. The
// speed is limited by FMAs while the source is in L1, otherwise by the caches and memory; then `prefetches`
// helps. With stride 2, windows share fewer vectors, and loads take as long as FMAs. With a dilation d, the
// outputs of a strip are d apart, so their windows share as many vectors as without dilation.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/kernels.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// The rows that a depthwise convolution reads: an image, or a ring buffer of rows. With a channel
/// multiplier, the ring buffer's channels are repeated.
struct DepthwiseSource {
    const float *data = nullptr; ///< the first element
    std::ptrdiff_t row_stride = 0, pixel_stride = 0;
    std::int64_t height = 0, width = 0;
    std::int64_t ring = 0;        ///< row y is stored at y % ring
    std::int64_t first_chunk = 0; ///< number of the channel vector at `data`
    bool is_padded = true;        ///< true if a pixel's last vector can be read as a whole

    template <class Element> MPSCNN_INLINE const Element *row(std::int64_t y) const {
        if (y < 0 || y >= height) return nullptr;
        return reinterpret_cast<const Element *>(data) + (y < ring ? y : y % ring) * row_stride;
    }
};

/// A strip: a block of outputs with rows from y on, columns from x on, and channel vectors [chunks). Adjacent
/// outputs of the block are `row_step` and `column_step` apart. With a dilation, these steps are the
/// dilation, so that windows share taps.
struct DepthwiseStrip {
    const ConvolutionTask *task = nullptr;
    const DepthwiseSource *source = nullptr;
    std::int64_t image = 0, y = 0, x = 0, row_step = 1, column_step = 1;
    /// Offset in elements of the first output's first tap from the start of its source row. It may be
    /// negative.
    std::ptrdiff_t first_offset = 0;
    Range taps{0, 0}; ///< The strip's tap columns that are inside the source, counted from first_offset.
    Range chunks{0, 0};
    std::int64_t count = 1; ///< number of equal strips after each other, if can_repeat()
    /// True if the source does not fit L1 and L2, so the next strip's pixels are prefetched.
    bool prefetches = false;
};

/// Where a kernel stores its sums after a clamp. Vector i of strip.chunks is stored at first + row * row_step
/// + column * column_step + i * width. `sums` are floats in a buffer instead, also of bfloat16 kernels.
template <class V> struct DepthwiseOutput {
    typename V::element *first;
    std::ptrdiff_t row_step, column_step;
    std::int64_t writable; ///< elements of an output, from `first` on, that may be written
    Limits limits;
    float *sums = nullptr; ///< null: the kernel stores elements at `first`
};

/// Call store(first) with the address where the kernel stores, of elements or of floats. They are compiled
/// apart for bfloat16 kernels only.
template <class V, class Store>
MPSCNN_INLINE void store_output(const DepthwiseOutput<V> &output, Store store) {
    if constexpr (has_bfloat16<V>)
        if (output.sums) return store(output.sums);
    store(output.first);
}

/// The number of columns of the widest strip, which has two rows. Registers remain for a source vector and
/// weights.
template <class V> inline constexpr int depthwise_strip_columns = V::registers >= 32 ? 7 : 4;

/// Return true if there are kernels for strips of this many columns. With wide strips, only 7, 4, 2 and 1
/// have kernels.
template <class V> constexpr bool has_strip_columns(std::int64_t columns) {
    return depthwise_strip_columns<V> == 4 || columns == 7 || columns == 4 || columns == 2 || columns == 1;
}

/// Return the number of columns of the next strip if `left` columns remain, so that there are few strips of
/// similar sizes.
template <class V> inline std::int64_t next_strip_columns(std::int64_t left) {
    constexpr std::int64_t maximum = depthwise_strip_columns<V>;
    if (left >= 3 * maximum) return maximum;                          // faster than the divisions
    std::int64_t columns = divide_up(left, divide_up(left, maximum)); // strips of equal size
    while (columns < left && columns < maximum && !has_strip_columns<V>(columns)) ++columns;
    while (!has_strip_columns<V>(columns)) --columns;
    return columns;
}

/// True if the usual padding of 3x3 windows uses the kernel for any padding. Special kernels would be a large
/// part of the instruction set's code. Without FMA, which few processors lack, 5x5 windows have none, either.
template <class V> inline constexpr bool has_few_strips = has_bfloat16<V> || !V::has_fma;

/// Apply the epilogue to the sums of a strip, which a kernel has left in a buffer, and store the results. The
/// strip has rows x columns outputs. The function is not inlined, because otherwise the code for each window
/// shape would contain all activations.
template <class V>
__attribute__((noinline)) void finish_strip(const DepthwiseStrip &strip, float *sums, int rows, int columns) {
    const ConvolutionTask &task = *strip.task;
    const std::int64_t pixel = strip.chunks.size() * V::width;
    const bool activated = call_function(task.epilogue.activation, sums, rows * columns * pixel);
    const View &to = task.destination;
    if constexpr (has_bfloat16<V>)
        if (activated && !task.epilogue.residual && to.writable_channels >= strip.chunks.end * V::width) {
            auto *first =
                pixel_at<Bfloat16>(to, strip.image, strip.y, strip.x) + strip.chunks.begin * V::width;
            for (int row = 0; row < rows; ++row, first += to.row_stride * strip.row_step) {
                Bfloat16 *pixel_first = first;
                for (int column = 0; column < columns;
                     ++column, pixel_first += to.pixel_stride * strip.column_step)
                    for (std::int64_t i = 0; i < pixel; i += V::width, sums += V::width)
                        V::store(pixel_first + i, V::load(sums)); // the store rounds
            }
            return;
        }
    for (int row = 0; row < rows; ++row)
        for (int column = 0; column < columns; ++column, sums += pixel)
            for (std::int64_t i = 0; i < strip.chunks.size(); ++i)
                finish_vector<V>(to, task.epilogue, strip.image, strip.y + row * strip.row_step,
                                 strip.x + column * strip.column_step, (strip.chunks.begin + i) * V::width,
                                 V::load(sums + i * V::width), activated);
}

/// Return true if a kernel may compute several strips in one call, because nothing remains to be done after
/// its stores.
template <class V> MPSCNN_INLINE bool can_repeat(const Epilogue &epilogue) {
    return is_clamp(epilogue) && (has_bfloat16<V> || !epilogue.rounds);
}

/// Compute the rows x columns outputs of a strip by `kernel`, and apply the epilogue. If the epilogue is a
/// clamp, the kernel applies it. Otherwise the kernel computes a few vectors at a time. A function is applied
/// to them in place. For other epilogues the kernel stores them in a buffer, and finish_strip() applies the
/// epilogue. `strip` is unchanged at the end.
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
    constexpr std::int64_t vectors = 8;
    alignas(64) float buffer[2 * depthwise_strip_columns<V> * vectors * V::width];
    constexpr bool stores_sums = has_bfloat16<V>;
    const bool direct = is_clamp(epilogue);
    const Range all = strip.chunks;
    const bool in_place =
        direct || (!stores_sums && is_function(epilogue) && to.writable_channels >= all.end * V::width);
    do { // `kernel` is called in one place for both cases, so that it is inlined once
        if (!direct) strip.chunks.end = min(strip.chunks.begin + vectors, all.end);
        const std::ptrdiff_t pixel = strip.chunks.size() * V::width;
        DepthwiseOutput<V> output{nullptr, columns * pixel, pixel, pixel, {}, buffer};
        if constexpr (!stores_sums) output.first = buffer;
        if (in_place) output = in_tensor();
        kernel(strip, output);
        if (!in_place)
            finish_strip<V>(strip, buffer, rows, columns);
        else if constexpr (!stores_sums)
            if (!direct || epilogue.rounds)
                for (int row = 0; row < rows; ++row)
                    finish_stored<V>(epilogue, output.first + row * output.row_step, output.column_step,
                                     columns, min(strip.chunks.size() * V::width, output.writable));
        strip.chunks = {strip.chunks.end, all.end};
    } while (!strip.chunks.empty());
    strip.chunks = all;
}

/// The kernel size and strides, known at compile time.
template <int kernel_height_, int kernel_width_, int vertical_stride_, int horizontal_stride_>
struct DepthwiseShape {
    static constexpr int kernel_height = kernel_height_, kernel_width = kernel_width_;
    static constexpr int vertical_stride = vertical_stride_, horizontal_stride = horizontal_stride_;
    static constexpr int source_rows(int rows) { return (rows - 1) * vertical_stride + kernel_height; }
    static constexpr int tap_columns(int columns) { return (columns - 1) * horizontal_stride + kernel_width; }
    /// True if strips have two rows wherever possible. For 5x5 windows with stride 2, two rows would need
    /// more registers than AVX2 has. Rows of small windows share little, so their code would not pay.
    static constexpr bool pairs_rows = kernel_height > 2 && kernel_width *horizontal_stride < 10;
};

/// A template argument that means: the number of tap columns outside the source is only known at run time.
inline constexpr int any_number = -1;

/// Compute the sums of rows x columns outputs for one channel vector. The first tap is at offset `first` of
/// each source row, and tap columns are `step` apart. The loop goes over the source, and adds each loaded
/// vector to all sums whose windows contain it. Rows may be null unless `all_rows`. The first `outside_left`
/// and the last `outside_right` tap columns are outside the source, at most kernel_width - 1 each; the
/// columns [taps) are inside.
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
        const auto *at = source + first; // the address of every third column; offsets reach the next two
#pragma GCC unroll 16
        for (int j = 0; j < tap_columns; ++j) {
            if (j % 3 == 0) {
                if (j > 0) at += 3 * step;
                // Otherwise compilers would keep the addresses of all columns in memory.
                keep_pointer(at);
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

/// Compute strip.count strips of rows x columns outputs, in whole channel vectors. The other parameters have
/// the same meaning as in depthwise_sums().
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
    // Local copies cannot alias with stores, so the compiler keeps them in registers.
    const Element *sources[source_height];
    for (int i = 0; i < source_height; ++i) sources[i] = source_rows[i];
    const Range taps = strip.taps;
    // Prefetch the source columns that only the next strip reads, a share of them with each channel vector.
    // A share has as many bytes as these columns have for one vector, but not the same addresses.
    constexpr int share = columns * Shape::horizontal_stride * V::width, line = 64 / sizeof(Element);
    std::ptrdiff_t strip_to = 0;
    std::ptrdiff_t strip_first = strip.first_offset;
    for (std::int64_t strips = strip.count; strips > 0; --strips) {
        std::ptrdiff_t to = strip_to;
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
            store_output(
                output, [&](auto *results) __attribute__((always_inline)) {
#pragma GCC unroll 8
                    for (int row = 0; row < rows; ++row) {
#pragma GCC unroll 8
                        for (int column = 0; column < columns; ++column)
                            V::store(results + to + row * row_step + column * column_step,
                                     clamp(sums[row][column]));
                    }
                });
            to += V::width;
            first += V::width;
            biases += V::width;
            weights += kernel_floats;
        }
    }
}

/// Compute a row of `columns` outputs tap by tap: the generic fallback. It computes `vectors` channel
/// vectors, from number `chunk` on. All outputs have the same tap columns inside the source, the kernel's
/// columns [strip.taps). With `partial`, the only vector has fewer channels than lanes.
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
    store_output(
        output, [&](auto *results) __attribute__((always_inline)) {
#pragma GCC unroll 8
            for (int n = 0; n < columns; ++n) {
#pragma GCC unroll 8
                for (int v = 0; v < vectors; ++v) {
                    auto *to = results + n * output.column_step + stored + v * V::width;
                    if (partial)
                        store_lanes<V>(to, clamp(sums[n][v]), output.writable - stored);
                    else
                        V::store(to, clamp(sums[n][v]));
                }
            }
        });
}

} // namespace
} // namespace mpscnn::cpu
