#pragma once

// Weight gradients: of a part of the pixels, outputs x taps sums of products of a gradient and an input.
//
// Dense and grouped convolutions: the inputs of a block of pixels' windows are brought side by side ([pixels]
// [taps]), unless they lie so already, then a tile of outputs x two vectors of taps is summed over them in
// registers and added to the result. Both operands are read as they lie; nothing is packed.
// Registers: gemm_rows x 2 sums, two vectors of inputs, one gradient that is broadcast. Bound by arithmetic:
// 2 loads and gemm_rows broadcasts for 2 * gemm_rows FMAs. What limits it: few outputs, and windows of few
// channels, which are gathered in short pieces.
//
// Depthwise: a vector of channels of a strip of pixels at a time; of each pixel its gradient is multiplied by
// the inputs of its window's rows, whose sums stay in registers for the strip. The next vectors follow, so
// that lines of memory are used up at once. Bound by memory: 8 bytes for each element.

#include "cpu/kernels/copy_channels.h"
#include "cpu/kernels/pixel_epilogue.h"

namespace mpscnn::cpu {
namespace {

/// Pixels whose products are added in float32 before they join a sum: errors grow with these.
inline constexpr std::int64_t gradient_block = 128;

/// Rows of all images of the gradient that one part of the sums is over.
MPSCNN_INLINE Range rows_of_part(const WeightGradientTask &task, std::int64_t part) {
    return part_of(task.gradient.batch * task.gradient.height, task.destination.batch, part);
}

struct WeightGradientPlan {
    bool depthwise;
    std::int64_t taps;          ///< of an output: height * width * inputs of a group
    std::int64_t outputs;       ///< of a group
    std::int64_t tap_blocks;    ///< each a whole number of tiles, but for the last
    std::int64_t block_taps;    ///< of such a block
    std::int64_t output_blocks; ///< each a whole number of tiles, but for the last
    std::int64_t items;         ///< of a part
    bool reads_source;          ///< a window is one pixel, whose channels are whole vectors
};

template <class V> inline constexpr std::int64_t tile_taps = 2 * V::width;

/// [outputs of a tile][taps of a tile] += products of `pixels` pixels. Those `ahead` of them are asked for.
template <class V, int rows, int vectors>
void add_products(const float *inputs, std::ptrdiff_t input_stride, const float *gradients,
                  std::ptrdiff_t gradient_stride, std::int64_t pixels, std::int64_t ahead, float *to,
                  std::ptrdiff_t to_stride, std::int64_t taps) {
    typename V::reg sums[rows][vectors];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sums[r][v] = V::zero();
    for (std::int64_t p = 0; p < pixels; ++p, inputs += input_stride, gradients += gradient_stride) {
        __builtin_prefetch(gradients + ahead * gradient_stride);
        typename V::reg x[vectors];
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) __builtin_prefetch(inputs + ahead * input_stride + v * V::width);
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) x[v] = V::load(inputs + v * V::width);
#pragma GCC unroll 16
        for (int r = 0; r < rows; ++r) {
            const auto gradient = V::broadcast(gradients + r);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) sums[r][v] = V::fma(x[v], gradient, sums[r][v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r, to += to_stride)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) {
            const std::int64_t left = taps - v * V::width;
            if (left <= 0) break;
            float *at = to + v * V::width;
            store_lanes<V>(at, V::add(load_lanes<V>(at, left), sums[r][v]), left);
        }
}

using AddProducts = void (*)(const float *, std::ptrdiff_t, const float *, std::ptrdiff_t, std::int64_t,
                             std::int64_t, float *, std::ptrdiff_t, std::int64_t);

template <class V, int vectors, int rows = V::gemm_rows> AddProducts products_function(std::int64_t outputs) {
    if constexpr (rows > 1)
        if (outputs < rows) return products_function<V, vectors, rows - 1>(outputs);
    return add_products<V, rows, vectors>;
}

/// A block of pixels that follow each other in the gradient.
struct PixelBlock {
    std::int64_t image, y, x; ///< of the first one
    std::int64_t pixels;
    std::int64_t follow; ///< pixels to the next block of the same strip, 0 behind the last
};

/// Taps [taps) of the windows of a block's pixels, `pitch` apart. Outside of the source they are zero.
template <class V>
void gather_taps(const WeightGradientTask &task, const PixelBlock &block, std::int64_t first_channel,
                 std::int64_t channels, Range taps, float *to, std::int64_t pitch) {
    const ConstView &from = task.source;
    const std::int64_t row_taps = task.horizontal.kernel * channels;
    std::int64_t image = block.image, y = block.y, x = block.x;
    // A kernel row's taps lie side by side in the source.
    const bool dense = task.horizontal.dilation == 1 && from.pixel_stride == channels;
    for (std::int64_t p = 0; p < block.pixels; ++p, to += pitch) {
        const std::int64_t column = x * task.horizontal.stride - task.horizontal.before;
        float *out = to;
        for (std::int64_t tap = taps.begin; tap < taps.end;) {
            const std::int64_t row = tap / row_taps, within = tap % row_taps;
            const std::int64_t source_y =
                y * task.vertical.stride - task.vertical.before + row * task.vertical.dilation;
            const std::int64_t piece =
                min(dense ? row_taps - within : channels - within % channels, taps.end - tap);
            if (source_y < 0 || source_y >= from.height) {
                for (std::int64_t i = 0; i < piece; ++i) out[i] = 0.0f;
            } else if (dense) {
                const float *source = pixel_at(from, image, source_y, 0) + first_channel;
                const std::int64_t position = column * channels + within;
                const std::int64_t begin = clamped(-position, 0, piece),
                                   end = clamped(from.width * channels - position, begin, piece);
                for (std::int64_t i = 0; i < begin; ++i) out[i] = 0.0f;
                copy_channels<V>(source + position + begin, out + begin, end - begin);
                for (std::int64_t i = end; i < piece; ++i) out[i] = 0.0f;
            } else {
                const std::int64_t source_x = column + within / channels * task.horizontal.dilation;
                if (source_x < 0 || source_x >= from.width) {
                    for (std::int64_t i = 0; i < piece; ++i) out[i] = 0.0f;
                } else {
                    const float *source = pixel_at(from, image, source_y, source_x);
                    copy_channels<V>(source + first_channel + within % channels, out, piece);
                }
            }
            out += piece, tap += piece;
        }
        if (++x < task.gradient.width) continue;
        x = 0;
        if (++y < task.gradient.height) continue;
        y = 0, ++image;
    }
}

/// Pixels of a part, in blocks that follow each other in the gradient's memory. visit(block).
template <class Visit> void for_each_block(const WeightGradientTask &task, Range rows, Visit visit) {
    const ConstView &gradient = task.gradient;
    const std::int64_t width = gradient.width;
    const bool join = rows_join(gradient) &&
                      (gradient.batch == 1 || gradient.image_stride == gradient.height * gradient.row_stride);
    const std::int64_t strip_rows = join ? rows.size() : 1;
    for (std::int64_t row = rows.begin; row < rows.end; row += strip_rows) {
        const std::int64_t pixels = strip_rows * width;
        for (std::int64_t first = 0; first < pixels; first += gradient_block) {
            const std::int64_t y = row + first / width;
            const bool last = first + gradient_block >= pixels;
            visit(PixelBlock{y / gradient.height, y % gradient.height, first % width,
                             min(gradient_block, pixels - first), last ? 0 : gradient_block});
        }
    }
}

template <class V>
void dense_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                    std::int64_t item, float *scratch) {
    const std::int64_t output_block = item % plan.output_blocks,
                       tap_block = item / plan.output_blocks % plan.tap_blocks,
                       group = item / (plan.output_blocks * plan.tap_blocks);
    const Range taps{tap_block * plan.block_taps, min((tap_block + 1) * plan.block_taps, plan.taps)};
    const std::int64_t tiles = divide_up(plan.outputs, V::gemm_rows);
    const Range block = part_of(tiles, plan.output_blocks, output_block);
    const Range outputs{block.begin * V::gemm_rows, min(block.end * V::gemm_rows, plan.outputs)};
    const std::int64_t channels = task.source.channels / task.groups, first_channel = group * channels;
    const std::int64_t pitch = round_up(taps.size(), tile_taps<V>);
    float *const result = task.destination.data + part * task.destination.image_stride +
                          group * plan.outputs * plan.taps + taps.begin;
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o)
        for (std::int64_t i = 0; i < taps.size(); ++i) result[o * plan.taps + i] = 0.0f;

    for_each_block(task, rows_of_part(task, part), [&](const PixelBlock &pixels) {
        const float *inputs = scratch;
        std::ptrdiff_t input_stride = pitch;
        if (plan.reads_source) {
            inputs = pixel_at(task.source, pixels.image, pixels.y, pixels.x) + first_channel + taps.begin;
            input_stride = task.source.pixel_stride;
        } else {
            gather_taps<V>(task, pixels, first_channel, channels, taps, scratch, pitch);
        }
        const float *gradients =
            pixel_at(task.gradient, pixels.image, pixels.y, pixels.x) + group * plan.outputs;
        for (std::int64_t tap = 0; tap < taps.size(); tap += tile_taps<V>) {
            const std::int64_t left = taps.size() - tap;
            for (std::int64_t o = outputs.begin; o < outputs.end; o += V::gemm_rows) {
                const std::int64_t count = outputs.end - o;
                const AddProducts add =
                    left > V::width ? products_function<V, 2>(count) : products_function<V, 1>(count);
                add(inputs + tap, input_stride, gradients + o, task.gradient.pixel_stride, pixels.pixels,
                    pixels.follow, result + o * plan.taps + tap, plan.taps, left);
            }
        }
    });
}

/// Pixels of a row that stay in L1 while vectors of channels pass.
inline constexpr std::int64_t strip_pixels = 16;

/// Where a vector of channels of a window's rows and of the gradient begins, and how far the next ones are.
struct DepthwiseStrip {
    const float *window = nullptr, *gradient = nullptr;
    std::ptrdiff_t row_step = 0, tap_step = 0, window_step = 0, gradient_step = 0;
    std::ptrdiff_t source_row = 0, source_pixel = 0;
    std::int64_t new_rows = 1, new_columns = 1; ///< inputs that a pixel reads first
    std::int64_t pixels = 0, lanes = 0;
};

/// Adds the products of a strip to sums of `rows` x `taps` taps, V::width apart.
template <class V, int rows, int taps, bool whole>
MPSCNN_INLINE void add_taps(DepthwiseStrip strip, float *sums) {
    const std::int64_t lanes = whole ? V::width : strip.lanes;
    typename V::reg own[rows * taps];
#pragma GCC unroll 9
    for (int tap = 0; tap < rows * taps; ++tap) own[tap] = V::load(sums + tap * V::width);
    const std::ptrdiff_t last_row = (rows - 1) * strip.row_step;
    for (std::int64_t x = 0; x < strip.pixels; ++x) {
        // Processors do not foresee reads of one line of each pixel: what the next strip brings is asked for.
        __builtin_prefetch(strip.gradient + strip_pixels * strip.gradient_step);
        const float *const next = strip.window + last_row + (strip_pixels + 1) * strip.window_step;
        for (std::int64_t row = 0; row < strip.new_rows; ++row)
            for (std::int64_t column = 0; column < strip.new_columns; ++column)
                __builtin_prefetch(next - row * strip.source_row + column * strip.source_pixel);
        const auto g = load_lanes<V>(strip.gradient, lanes);
#pragma GCC unroll 3
        for (int row = 0; row < rows; ++row)
#pragma GCC unroll 5
            for (int tap = 0; tap < taps; ++tap) {
                const float *at = strip.window + row * strip.row_step + tap * strip.tap_step;
                own[row * taps + tap] = V::fma(load_lanes<V>(at, lanes), g, own[row * taps + tap]);
            }
        strip.window += strip.window_step, strip.gradient += strip.gradient_step;
    }
#pragma GCC unroll 9
    for (int tap = 0; tap < rows * taps; ++tap) V::store(sums + tap * V::width, own[tap]);
}

template <class V, int rows, int taps> void add_strip(const DepthwiseStrip &strip, float *sums) {
    strip.lanes >= V::width ? add_taps<V, rows, taps, true>(strip, sums)
                            : add_taps<V, rows, taps, false>(strip, sums);
}

/// Columns of a gradient's row.
struct Columns {
    Range all, inner; ///< inner: all taps of a kernel row lie within the source
};

/// Sums of vectors of channels, [vector][rows][taps][lanes], of some columns of a row of the gradient.
/// `fixed_taps` is 0 or those of a kernel row.
template <class V, int fixed_taps>
void add_depthwise_columns(const WeightGradientTask &task, std::int64_t image, std::int64_t y,
                           const Columns &columns, Range vectors, float *sums) {
    const ConstView &from = task.source, &gradient = task.gradient;
    const std::int64_t rows = task.vertical.kernel;
    const std::int64_t taps = fixed_taps > 0 ? fixed_taps : task.horizontal.kernel;
    const auto first_of = [](const WindowAxis &axis, std::int64_t position) {
        return position * axis.stride - axis.before;
    };
    const std::int64_t top = first_of(task.vertical, y);
    const bool all_rows = top >= 0 && top + (rows - 1) * task.vertical.dilation < from.height;
    const Range inner = columns.inner;
    DepthwiseStrip strip;
    strip.row_step = task.vertical.dilation * from.row_stride;
    strip.tap_step = task.horizontal.dilation * from.pixel_stride;
    strip.window_step = task.horizontal.stride * from.pixel_stride;
    strip.gradient_step = gradient.pixel_stride;
    strip.source_row = from.row_stride;
    strip.source_pixel = from.pixel_stride;
    strip.new_rows = min(task.vertical.stride, rows);
    strip.new_columns = min(task.horizontal.stride, taps);
    strip.pixels = inner.size();
    for (std::int64_t vector = vectors.begin; vector < vectors.end;
         ++vector, sums += rows * taps * V::width) {
        const std::int64_t channel = vector * V::width;
        strip.lanes = from.channels - channel;
        const float *const out = pixel_at(gradient, image, y, 0) + channel;
        const float *const source = from.data + image * from.image_stride + top * from.row_stride + channel;
        const auto edge = [&](std::int64_t row, std::int64_t begin, std::int64_t end) {
            float *row_sums = sums + row * taps * V::width;
            for (std::int64_t x = begin; x < end; ++x) {
                const auto g = load_lanes<V>(out + x * gradient.pixel_stride, strip.lanes);
                const std::int64_t first = first_of(task.horizontal, x);
                for (std::int64_t tap = 0; tap < taps; ++tap) {
                    const std::int64_t source_x = first + tap * task.horizontal.dilation;
                    if (source_x < 0 || source_x >= from.width) continue;
                    const float *at = source + row * strip.row_step + source_x * from.pixel_stride;
                    float *sum = row_sums + tap * V::width;
                    V::store(sum, V::fma(load_lanes<V>(at, strip.lanes), g, V::load(sum)));
                }
            }
        };
        const auto within = [&](std::int64_t row) {
            const std::int64_t position = top + row * task.vertical.dilation;
            return position >= 0 && position < from.height;
        };
        strip.gradient = out + inner.begin * gradient.pixel_stride;
        strip.window = source + first_of(task.horizontal, inner.begin) * from.pixel_stride;
        for (std::int64_t row = 0; row < rows; ++row)
            if (within(row)) edge(row, columns.all.begin, inner.begin);
        if constexpr (fixed_taps == 3) {
            if (rows == 3 && all_rows && inner.size() > 0) {
                add_strip<V, 3, 3>(strip, sums);
                for (std::int64_t row = 0; row < rows; ++row) edge(row, inner.end, columns.all.end);
                continue;
            }
        }
        for (std::int64_t row = 0; row < rows; ++row, strip.window += strip.row_step) {
            if (!within(row)) continue;
            if constexpr (fixed_taps > 0) {
                if (inner.size() > 0) add_strip<V, 1, fixed_taps>(strip, sums + row * taps * V::width);
            } else {
                edge(row, inner.begin, inner.end);
            }
            edge(row, inner.end, columns.all.end);
        }
    }
}

/// A row of the gradient, in strips that stay in L1 while the vectors of channels pass.
template <class V, int fixed_taps>
void add_depthwise_row(const WeightGradientTask &task, std::int64_t image, std::int64_t y, Range vectors,
                       float *sums) {
    const std::int64_t width = task.gradient.width;
    // Pixels all of whose taps lie within the row.
    const std::int64_t reach = (task.horizontal.kernel - 1) * task.horizontal.dilation;
    const std::int64_t begin = clamped(divide_up(task.horizontal.before, task.horizontal.stride), 0, width);
    const std::int64_t last = task.source.width - 1 - reach + task.horizontal.before;
    const std::int64_t end = clamped(last < 0 ? 0 : last / task.horizontal.stride + 1, begin, width);
    for (std::int64_t x = 0; x < width; x += strip_pixels) {
        const Range all{x, min(x + strip_pixels, width)};
        const std::int64_t first = clamped(begin, all.begin, all.end);
        add_depthwise_columns<V, fixed_taps>(task, image, y, {all, {first, clamped(end, first, all.end)}},
                                             vectors, sums);
    }
}

/// The gradient of some vectors of channels.
template <class V>
void depthwise_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                        std::int64_t item, float *scratch) {
    const Range vectors = part_of(divide_up(task.source.channels, V::width), plan.items, item);
    const std::int64_t floats = vectors.size() * plan.taps * V::width;
    float *const sums = scratch, *const block_sums = scratch + floats;
    for (std::int64_t i = 0; i < floats; ++i) sums[i] = 0.0f;
    const Range rows = rows_of_part(task, part);
    const std::int64_t rows_of_block = max(1, gradient_block / task.gradient.width);
    for (std::int64_t begin = rows.begin; begin < rows.end; begin += rows_of_block) {
        for (std::int64_t i = 0; i < floats; ++i) block_sums[i] = 0.0f;
        const std::int64_t end = min(begin + rows_of_block, rows.end);
        for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t image = row / task.gradient.height, y = row % task.gradient.height;
            switch (task.horizontal.kernel) {
            case 3:
                add_depthwise_row<V, 3>(task, image, y, vectors, block_sums);
                break;
            case 5:
                add_depthwise_row<V, 5>(task, image, y, vectors, block_sums);
                break;
            default:
                add_depthwise_row<V, 0>(task, image, y, vectors, block_sums);
            }
        }
        for (std::int64_t i = 0; i < floats; i += V::width)
            V::store(sums + i, V::add(V::load(sums + i), V::load(block_sums + i)));
    }
    float *const result = task.destination.data + part * task.destination.image_stride;
    for (std::int64_t vector = vectors.begin; vector < vectors.end; ++vector) {
        const float *own = sums + (vector - vectors.begin) * plan.taps * V::width;
        const std::int64_t channel = vector * V::width, lanes = min(V::width, task.source.channels - channel);
        for (std::int64_t lane = 0; lane < lanes; ++lane)
            for (std::int64_t tap = 0; tap < plan.taps; ++tap)
                result[(channel + lane) * plan.taps + tap] = own[tap * V::width + lane];
    }
}

template <class V>
Prepared weight_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t channels = from.channels / task.groups;
    WeightGradientPlan plan{};
    plan.outputs = task.gradient.channels / task.groups;
    plan.taps = task.vertical.kernel * task.horizontal.kernel * channels;
    plan.depthwise = channels == 1 && plan.outputs == 1 && task.groups > 1;
    const std::int64_t parts = task.destination.batch;
    if (plan.depthwise) {
        // Sums of so many vectors stay in L1.
        constexpr std::int64_t most_floats = 4096;
        const std::int64_t vectors = divide_up(from.channels, V::width);
        const std::int64_t most = clamped(most_floats / (plan.taps * V::width), 1, vectors);
        const std::int64_t wanted =
            planning.threads == 1 ? 1 : divide_up(4 * static_cast<std::int64_t>(planning.threads), parts);
        plan.items = clamped(wanted, divide_up(vectors, most), vectors);
        const std::int64_t floats = divide_up(vectors, plan.items) * plan.taps * V::width;
        return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(2 * floats) * sizeof(float));
    }
    constexpr std::int64_t most_block_taps = 512;
    plan.tap_blocks = divide_up(plan.taps, most_block_taps);
    plan.block_taps = round_up(divide_up(plan.taps, plan.tap_blocks), tile_taps<V>);
    plan.tap_blocks = divide_up(plan.taps, plan.block_taps);
    // Each block of outputs gathers the taps again, hence only where threads would have nothing to do.
    const std::int64_t wanted = planning.threads == 1 ? 1 : 4 * static_cast<std::int64_t>(planning.threads);
    plan.output_blocks = clamped(divide_up(wanted, parts * task.groups * plan.tap_blocks), 1,
                                 divide_up(plan.outputs, V::gemm_rows));
    plan.items = task.groups * plan.tap_blocks * plan.output_blocks;
    const bool one_pixel = task.vertical.kernel == 1 && task.horizontal.kernel == 1 &&
                           task.vertical.stride == 1 && task.horizontal.stride == 1 &&
                           task.vertical.before == 0 && task.horizontal.before == 0 &&
                           from.height == task.gradient.height && from.width == task.gradient.width;
    const bool joins =
        rows_join(from) && (from.batch == 1 || from.image_stride == from.height * from.row_stride);
    plan.reads_source = one_pixel && joins && channels % V::width == 0;
    const std::int64_t floats = plan.reads_source ? 0 : gradient_block * plan.block_taps;
    return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V>
void weight_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<WeightGradientPlan>();
    float *const scratch = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t part = index / plan.items, item = index % plan.items;
        if (plan.depthwise)
            depthwise_gradient<V>(task, plan, part, item, scratch);
        else
            dense_gradient<V>(task, plan, part, item, scratch);
    }
}

template <class V> Prepared part_sum_prepare(const PartSumTask &task, const Planning &planning) {
    const std::int64_t elements = task.source.batch * task.source.channels;
    const std::int64_t items =
        planning.threads == 1 ? 1 : clamped(elements / 16384, 1, task.destination.batch);
    return planning.keep(items, items);
}

template <class V>
void part_sum_run(const PartSumTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &) {
    const auto items = prepared.plan_as<std::int64_t>();
    const View &to = task.destination;
    const std::int64_t depth = to.height * to.width * to.channels;
    constexpr std::int64_t block = 64;
    for (std::int64_t item = begin; item < end; ++item) {
        const Range images = part_of(to.batch, items, item);
        for (std::int64_t image = images.begin; image < images.end; ++image)
            for (std::int64_t first = 0; first < depth; first += block) {
                double sums[block] = {};
                const std::int64_t count = min(block, depth - first);
                for (std::int64_t part = 0; part < task.source.batch; ++part) {
                    const float *from =
                        task.source.data + part * task.source.image_stride + image * depth + first;
                    for (std::int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(from[i]);
                }
                float *out = to.data + image * to.image_stride + first;
                for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(sums[i]);
            }
    }
}

} // namespace
} // namespace mpscnn::cpu
