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
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/training/weight_gradient.h"

namespace mpscnn::cpu {
namespace {

template <class V> inline constexpr std::int64_t tile_taps = 2 * V::width;
/// The outputs of a tile, whose sums stay in vector registers. Instruction sets with tile registers (AMX)
/// have a larger gemm_rows, so the number is limited.
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

/// Cache lines of the next block of pixels, one for each pixel of this block. They are prefetched in the
/// order of their addresses, so that hardware prefetchers recognise the stream.
struct LinesAhead {
    const float *at;
    std::ptrdiff_t step;
};

/// The memory that the next block of pixels reads, of which each pass of this block prefetches some lines.
class BlockAhead {
public:
    BlockAhead(const float *begin, std::int64_t floats) : next_(begin), left_(floats) {}

    /// Return the lines for a pass over `pixels` pixels.
    LinesAhead take(std::int64_t pixels) {
        constexpr std::int64_t line = 16;
        if (left_ <= 0) return {next_, 0};
        const LinesAhead lines{next_, line};
        next_ += pixels * line, left_ -= pixels * line;
        return lines;
    }

private:
    const float *next_;
    std::int64_t left_;
};

/// The operands of one pass over the pixels of a block.
struct GradientOperands {
    const float *inputs, *gradients;
    std::ptrdiff_t input_stride, gradient_stride;
    std::int64_t pixels;
    LinesAhead inputs_ahead, gradients_ahead;
};

/// Add the sums of products over the pixels of a block to a tile [outputs][taps].
template <class V, int rows, int vectors>
void add_products(const GradientOperands &operands, float *to, std::ptrdiff_t to_stride, std::int64_t taps) {
    auto [inputs, gradients, input_stride, gradient_stride, pixels, next, next_gradients] = operands;
    typename V::reg sums[rows][vectors];
#pragma GCC unroll 16
    for (int r = 0; r < rows; ++r)
#pragma GCC unroll 2
        for (int v = 0; v < vectors; ++v) sums[r][v] = V::zero();
    for (std::int64_t p = 0; p < pixels; ++p, inputs += input_stride, gradients += gradient_stride) {
        __builtin_prefetch(next_gradients.at);
        __builtin_prefetch(next.at);
        next_gradients.at += next_gradients.step, next.at += next.step;
        typename V::reg x[vectors];
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

using AddProducts = void (*)(const GradientOperands &, float *, std::ptrdiff_t, std::int64_t);

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
    // A piece is a row of taps of the kernel, or if these are not contiguous the channels of one tap. The
    // first piece may begin within its row and tap.
    const std::int64_t first_row = taps.begin / row_taps, within_row = taps.begin % row_taps;
    const std::int64_t first_column = dense ? 0 : within_row / channels,
                       first_within = dense ? within_row : within_row % channels;
    const std::int64_t length = dense ? row_taps : channels, columns = dense ? 1 : task.horizontal.kernel;
    for (std::int64_t p = 0; p < block.pixels; ++p, to += pitch) {
        const std::int64_t left = x * task.horizontal.stride - task.horizontal.before;
        std::int64_t source_y =
            y * task.vertical.stride - task.vertical.before + first_row * task.vertical.dilation;
        std::int64_t column = first_column, within = first_within;
        float *out = to, *const end = to + taps.size();
        while (out < end) {
            const std::int64_t piece = min(length - within, end - out);
            if (source_y < 0 || source_y >= from.height) {
                for (std::int64_t i = 0; i < piece; ++i) out[i] = 0.0f;
            } else if (dense) {
                const float *source = pixel_at(from, image, source_y, 0) + first_channel;
                const std::int64_t position = left * channels + within;
                const std::int64_t begin = clamped(-position, 0, piece),
                                   inside = clamped(from.width * channels - position, begin, piece);
                for (std::int64_t i = 0; i < begin; ++i) out[i] = 0.0f;
                copy(source + position + begin, out + begin, first_channel, inside - begin);
                for (std::int64_t i = inside; i < piece; ++i) out[i] = 0.0f;
            } else {
                const std::int64_t source_x = left + column * task.horizontal.dilation;
                if (source_x < 0 || source_x >= from.width) {
                    for (std::int64_t i = 0; i < piece; ++i) out[i] = 0.0f;
                } else {
                    const std::int64_t channel = first_channel + within;
                    copy(pixel_at(from, image, source_y, source_x) + channel, out, channel, piece);
                }
            }
            out += piece, within = 0;
            if (++column < columns) continue;
            column = 0, source_y += task.vertical.dilation;
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
    // Tiles have nearly equal numbers of outputs, because small ones have more loads for each product.
    const auto tile = [&](std::int64_t number) { return part_of(plan.outputs, tiles, number); };
    const Range outputs{tile(block.begin).begin, tile(block.end - 1).end};
    const std::int64_t channels = task.source.channels / task.groups, first_channel = group * channels;
    const std::int64_t pitch = round_up(taps.size(), tile_taps<V>);
    const PartResult sums(task, plan, part);
    float *const result = sums.data + group * plan.outputs * sums.output_stride + taps.begin;
    for (std::int64_t o = outputs.begin; o < outputs.end; ++o)
        for (std::int64_t i = 0; i < taps.size(); ++i) result[o * sums.output_stride + i] = 0.0f;

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
        if (plan.one_pixel) {
            const std::int64_t first = first_channel + taps.begin;
            inputs = pixel_at(task.source, pixels.image, pixels.y, pixels.x) + first;
            input_stride = task.source.pixel_stride;
            if (!plan.reads_source) {
                for (std::int64_t p = 0; p < pixels.pixels; ++p, inputs += input_stride)
                    copy(inputs, scratch + p * pitch, first, taps.size());
                inputs = scratch, input_stride = pitch;
            }
        } else {
            gather_taps<V, !normalizes>(task, pixels, first_channel, channels, taps, scratch, pitch, copy);
        }
        const std::int64_t first_output = group * plan.outputs + outputs.begin;
        const float *gradients = pixel_at(task.gradient, pixels.image, pixels.y, pixels.x) + first_output;
        std::ptrdiff_t gradient_stride = task.gradient.pixel_stride;
        std::int64_t count = pixels.pixels;
        const auto ahead = [&](const float *from, std::ptrdiff_t stride, bool in_place) {
            return BlockAhead(from + pixels.follow * stride, in_place ? pixels.follow * stride : 0);
        };
        BlockAhead inputs_ahead = ahead(inputs, input_stride, plan.reads_source && !has_bfloat16<V>),
                   gradients_ahead = ahead(gradients, gradient_stride, !has_bfloat16<V>);
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
            count = divide_up(count, 2);
        }
        [[maybe_unused]] const BlockArithmetic<V> arithmetic;
        for (std::int64_t tap = 0; tap < taps.size(); tap += tile_taps<V>) {
            const std::int64_t left = taps.size() - tap;
            for (std::int64_t number = block.begin; number < block.end; ++number) {
                const Range rows = tile(number);
                const AddProducts add = left > V::width ? products_function<V, 2>(rows.size())
                                                        : products_function<V, 1>(rows.size());
                add({inputs + tap, gradients + rows.begin - outputs.begin, input_stride, gradient_stride,
                     count, inputs_ahead.take(count), gradients_ahead.take(count)},
                    result + rows.begin * sums.output_stride + tap, sums.output_stride, left);
            }
        }
    });
}

template <class V> Prepared dense_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t channels = from.channels / task.groups, parts = task.parts;
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
    plan.one_pixel = task.vertical.kernel == 1 && task.horizontal.kernel == 1 && task.vertical.stride == 1 &&
                     task.horizontal.stride == 1 && task.vertical.before == 0 &&
                     task.horizontal.before == 0 && from.height == task.gradient.height &&
                     from.width == task.gradient.width && images_join(from);
    const bool normalizes = task.normalization.applies;
    plan.reads_source = plan.one_pixel && !normalizes && (has_bfloat16<V> || channels % V::width == 0);
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
