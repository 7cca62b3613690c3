#pragma once

// Weight gradients of dense and grouped convolutions. The inputs of the windows of a block of pixels are
// gathered (im2col) as [pixels][taps], unless they already have that layout. Then sums over these pixels, for
// a tile of outputs x two vectors of taps, are computed in registers and added to the result. Neither operand
// is packed. If the inputs are the result of a batch normalization, they are recomputed while they are
// gathered, so training need not store them.
//
// With bfloat16 operands, the numbers of two adjacent pixels form a pair. Both operands are rounded and
// paired once for each block of pixels, and in the kernel a pair takes the place of a pixel.
//
// Registers hold gradient_rows x 2 sums, two vectors of inputs and one broadcast gradient. The speed is
// limited by arithmetic: there are 2 loads and gradient_rows broadcasts for 2 * gradient_rows FMAs. Layers
// with few outputs are slower. Windows with few channels are slower, too, because they are gathered in short
// pieces.

#include "cpu/kernels/convolution/gemm_block_tile.h"
#include "cpu/kernels/elementwise/recomputed_normalization.h"
#include "cpu/kernels/movement/copy_channels.h"
#include "cpu/kernels/training/weight_gradient.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline constexpr std::int64_t tile_taps = 2 * V::width;
/// The outputs of a tile. Sets with tile registers (AMX) have more gemm_rows than fit vector registers.
template <class V> inline constexpr int gradient_rows = V::gemm_rows < 14 ? V::gemm_rows : 14;

/// Return sum + x * gradient for one vector of inputs. With bfloat16, both products of each pair are added,
/// the second one first, as AVX512_BF16 does.
template <class V, class Broadcast>
MPSCNN_INLINE typename V::reg add_product(typename V::reg x, Broadcast gradient, typename V::reg sum) {
    if constexpr (!has_bfloat16<V>)
        return V::fma(x, gradient, sum);
    else if constexpr (requires { V::even(x); })
        return V::fma(V::even(x), V::even(gradient), V::fma(V::odd(x), V::odd(gradient), sum));
    else
        return V::fma_broadcast(gradient, x, sum);
}

/// Return the gradient, or the pair of gradients, at p for all lanes.
template <class V> MPSCNN_INLINE auto broadcast_gradient(const float *p) {
    if constexpr (has_bfloat16<V> && !requires(typename V::reg a) { V::even(a); })
        return V::load_broadcast(p);
    else
        return V::broadcast(p);
}

/// Add the sums of products over `pixels` pixels to a tile [outputs][taps]. Data is prefetched `ahead` pixels
/// in advance.
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
            const auto gradient = broadcast_gradient<V>(gradients + r);
#pragma GCC unroll 2
            for (int v = 0; v < vectors; ++v) sums[r][v] = add_product<V>(x[v], gradient, sums[r][v]);
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

template <class V, int vectors, int rows = gradient_rows<V>>
AddProducts products_function(std::int64_t outputs) {
    if constexpr (rows > 1)
        if (outputs < rows) return products_function<V, vectors, rows - 1>(outputs);
    return add_products<V, rows, vectors>;
}

/// A block of consecutive pixels of the gradient, which may go on in the next row or image.
struct PixelBlock {
    std::int64_t image, y, x; ///< the position of the first pixel
    std::int64_t pixels;
    std::int64_t follow; ///< pixels to the next block of its strip; 0 after the last
};

/// Gather a range of taps of the window of each pixel of a block (im2col). `to` has one row of taps for each
/// pixel, and rows are `pitch` floats apart. Each contiguous piece is copied by copy(from, to, channel,
/// count). Taps outside the source are 0.
template <class V, bool across_pixels, class Copy>
void gather_taps(const WeightGradientTask &task, const PixelBlock &block, std::int64_t first_channel,
                 std::int64_t channels, Range taps, float *to, std::int64_t pitch, Copy copy) {
    const ConstView &from = task.source;
    const std::int64_t row_taps = task.horizontal.kernel * channels;
    std::int64_t image = block.image, y = block.y, x = block.x;
    // If true, the taps of a kernel row are contiguous in the source.
    const bool dense = across_pixels && task.horizontal.dilation == 1 && from.pixel_stride == channels;
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
                copy(source + position + begin, out + begin, first_channel, end - begin);
                for (std::int64_t i = end; i < piece; ++i) out[i] = 0.0f;
            } else {
                const std::int64_t source_x = column + within / channels * task.horizontal.dilation;
                if (source_x < 0 || source_x >= from.width) {
                    for (std::int64_t i = 0; i < piece; ++i) out[i] = 0.0f;
                } else {
                    const std::int64_t channel = first_channel + within % channels;
                    copy(pixel_at(from, image, source_y, source_x) + channel, out, channel, piece);
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

/// Call visit(block) for all pixels of the rows [rows) of the gradient, in blocks of consecutive pixels.
template <class Visit> void for_each_block(const WeightGradientTask &task, Range rows, Visit visit) {
    const ConstView &gradient = task.gradient;
    const std::int64_t width = gradient.width;
    const std::int64_t strip_rows = images_join(gradient) ? rows.size() : 1;
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

/// Round the numbers of `pixels` pixels to bfloat16 and join those of two pixels to pairs, `pitch` apart. The
/// last of an odd number of pixels is joined with zeros. `to` may be `from`.
template <class V, class Element>
void pair_pixels(const Element *from, std::ptrdiff_t stride, std::int64_t pixels, std::int64_t channels,
                 float *to, std::int64_t pitch) {
    for (std::int64_t p = 0; p < pixels; p += 2, from += 2 * stride, to += pitch) {
        const Element *const second = p + 1 < pixels ? from + stride : nullptr;
        for (std::int64_t c = 0; c < channels; c += V::width) {
            const std::int64_t left = channels - c;
            const auto other = second ? load_lanes<V>(second + c, left) : V::zero();
            V::store(to + c, V::pair(load_lanes<V>(from + c, left), other));
        }
    }
}

template <class V, bool normalizes>
void dense_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                    std::int64_t item, float *scratch) {
    const std::int64_t output_block = item % plan.output_blocks,
                       tap_block = item / plan.output_blocks % plan.tap_blocks,
                       group = item / (plan.output_blocks * plan.tap_blocks);
    const Range taps{tap_block * plan.block_taps, min((tap_block + 1) * plan.block_taps, plan.taps)};
    const std::int64_t tiles = divide_up(plan.outputs, gradient_rows<V>);
    const Range block = part_of(tiles, plan.output_blocks, output_block);
    const Range outputs{block.begin * gradient_rows<V>, min(block.end * gradient_rows<V>, plan.outputs)};
    const std::int64_t channels = task.source.channels / task.groups, first_channel = group * channels;
    const std::int64_t pitch = round_up(taps.size(), tile_taps<V>);
    float *const result = task.destination.data + part * task.destination.image_stride +
                          group * plan.outputs * plan.taps + taps.begin;
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o)
        for (std::int64_t i = 0; i < taps.size(); ++i) result[o * plan.taps + i] = 0.0f;

    const auto copy = [&] {
        if constexpr (normalizes) {
            float *const numbers = scratch;
            scratch += NormalizedCopy<V>::floats(task.source.channels);
            return NormalizedCopy<V>(task, numbers);
        } else {
            return [](const float *from, float *to, std::int64_t, std::int64_t count) {
                copy_channels<V>(from, to, count);
            };
        }
    }();
    // Lanes after the last tap are computed as well. Set them to zero, because scratch memory may hold
    // subnormal numbers, which some processors multiply a hundred times more slowly.
    if (!plan.reads_source)
        for (std::int64_t p = 0; p < gradient_block; ++p)
            for (std::int64_t i = taps.size(); i < pitch; ++i) scratch[p * pitch + i] = 0.0f;

    [[maybe_unused]] float *const paired_gradients = scratch + gradient_block * plan.block_taps;
    for_each_block(task, rows_of_part(task, part), [&](const PixelBlock &pixels) {
        const float *inputs = scratch;
        std::ptrdiff_t input_stride = pitch;
        if (plan.reads_source) {
            inputs = pixel_at(task.source, pixels.image, pixels.y, pixels.x) + first_channel + taps.begin;
            input_stride = task.source.pixel_stride;
        } else {
            gather_taps<V, !normalizes>(task, pixels, first_channel, channels, taps, scratch, pitch, copy);
        }
        const std::int64_t first_output = group * plan.outputs + outputs.begin;
        const float *gradients = pixel_at(task.gradient, pixels.image, pixels.y, pixels.x) + first_output;
        std::ptrdiff_t gradient_stride = task.gradient.pixel_stride;
        std::int64_t count = pixels.pixels, ahead = pixels.follow;
        if constexpr (has_bfloat16<V>) {
            const std::int64_t own_pitch = round_up(outputs.size(), V::width);
            pair_pixels<V>(inputs, input_stride, count, taps.size(), scratch, pitch);
            if (task.gradient.element == Element::bfloat16) {
                const auto *own =
                    pixel_at<typename V::element>(task.gradient, pixels.image, pixels.y, pixels.x);
                pair_pixels<V>(own + first_output, gradient_stride, count, outputs.size(), paired_gradients,
                               own_pitch);
            } else {
                pair_pixels<V>(gradients, gradient_stride, count, outputs.size(), paired_gradients,
                               own_pitch);
            }
            inputs = scratch, input_stride = pitch;
            gradients = paired_gradients, gradient_stride = own_pitch;
            count = divide_up(count, 2), ahead = 0;
        }
        [[maybe_unused]] const BlockArithmetic<V> arithmetic;
        for (std::int64_t tap = 0; tap < taps.size(); tap += tile_taps<V>) {
            const std::int64_t left = taps.size() - tap;
            for (std::int64_t o = 0; o < outputs.size(); o += gradient_rows<V>) {
                const std::int64_t rows = outputs.size() - o;
                const AddProducts add =
                    left > V::width ? products_function<V, 2>(rows) : products_function<V, 1>(rows);
                add(inputs + tap, input_stride, gradients + o, gradient_stride, count, ahead,
                    result + (outputs.begin + o) * plan.taps + tap, plan.taps, left);
            }
        }
    });
}

template <class V> Prepared dense_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t channels = from.channels / task.groups, parts = task.destination.batch;
    WeightGradientPlan plan{};
    plan.outputs = task.gradient.channels / task.groups;
    plan.taps = task.vertical.kernel * task.horizontal.kernel * channels;
    constexpr std::int64_t max_block_taps = 512;
    plan.tap_blocks = divide_up(plan.taps, max_block_taps);
    plan.block_taps = round_up(divide_up(plan.taps, plan.tap_blocks), tile_taps<V>);
    plan.tap_blocks = divide_up(plan.taps, plan.block_taps);
    // Each block of outputs gathers all taps again. So outputs are only divided if some threads would have no
    // work otherwise.
    const std::int64_t wanted = planning.threads == 1 ? 1 : 4 * static_cast<std::int64_t>(planning.threads);
    plan.output_blocks = clamped(divide_up(wanted, parts * task.groups * plan.tap_blocks), 1,
                                 divide_up(plan.outputs, gradient_rows<V>));
    plan.items = task.groups * plan.tap_blocks * plan.output_blocks;
    const bool one_pixel = task.vertical.kernel == 1 && task.horizontal.kernel == 1 &&
                           task.vertical.stride == 1 && task.horizontal.stride == 1 &&
                           task.vertical.before == 0 && task.horizontal.before == 0 &&
                           from.height == task.gradient.height && from.width == task.gradient.width;
    const bool normalizes = task.normalization.applies;
    plan.reads_source =
        one_pixel && images_join(from) && !normalizes && (has_bfloat16<V> || channels % V::width == 0);
    std::int64_t floats = normalizes ? NormalizedCopy<V>::floats(from.channels) : 0;
    if (has_bfloat16<V>) // for the paired inputs and gradients
        floats += gradient_block * plan.block_taps +
                  gradient_block / 2 * (round_up(plan.outputs, V::width) + V::width);
    else if (!plan.reads_source)
        floats += gradient_block * plan.block_taps;
    return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V>
void dense_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &worker) {
    run_gradient_items(task, prepared, begin, end, worker,
                       task.normalization.applies ? dense_gradient<V, true> : dense_gradient<V, false>);
}

} // namespace
} // namespace mpscnn::cpu
