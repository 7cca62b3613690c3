#pragma once

// Weight gradients of dense and grouped convolutions. The inputs of the windows of a block of pixels are
// gathered (im2col) as [pixels][taps], unless they already have that layout. Then sums over these pixels, for
// a tile of outputs x two vectors of taps, are computed in registers and added to the result. Inputs of
// single pixels are copied to panels, one for each tile of taps, and gradients to one for each tile of
// outputs, unless there are few taps. So each tile reads contiguous memory, whose lines do not compete for
// few sets of L1. If the inputs are the result of a batch normalization, they are recomputed while they are
// copied, so training need not store them.
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
    bool first = false; ///< true for the first block of a part, whose sums replace the contents of the tile
};

/// Add the sums of products over the pixels of a block to a tile [outputs][taps].
template <class V, int rows, int vectors>
void add_products(const GradientOperands &operands, float *to, std::ptrdiff_t to_stride, std::int64_t taps) {
    auto [inputs, gradients, input_stride, gradient_stride, pixels, next, next_gradients, first] = operands;
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
            const auto before = first ? V::zero() : load_lanes<V>(at, left);
            store_lanes<V>(at, V::add(before, sums[r][v]), left);
        }
}

/// Return the distance of the pixels of gathered taps: whole tiles, and an odd number of cache lines, so that
/// the pixels do not compete for few sets of L1.
template <class V> std::int64_t row_pitch(std::int64_t taps) {
    constexpr std::int64_t line = 16;
    const std::int64_t pitch = round_up(taps, tile_taps<V>);
    return pitch % (2 * line) == 0 ? pitch + line : pitch;
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

/// The tiles of outputs of a work item: its output block, in tiles of nearly equal size, because small tiles
/// have more loads for each product.
template <class V> struct OutputTiles {
    std::int64_t size, larger; ///< the first `larger` tiles have one output more than `size`
    Range tiles;               ///< the item's tiles

    OutputTiles(const WeightGradientPlan &plan, std::int64_t block)
        : OutputTiles(plan.outputs, divide_up(plan.outputs, gradient_rows<V>), plan.output_blocks, block) {}

    MPSCNN_INLINE std::int64_t first(std::int64_t tile) const { return tile * size + min(tile, larger); }
    MPSCNN_INLINE Range outputs(std::int64_t tile) const { return {first(tile), first(tile + 1)}; }
    MPSCNN_INLINE Range all() const { return {first(tiles.begin), first(tiles.end)}; }

private:
    OutputTiles(std::int64_t outputs, std::int64_t count, std::int64_t blocks, std::int64_t block)
        : size(outputs / count), larger(outputs % count), tiles(part_of(count, blocks, block)) {}
};

/// The floats of a panel of gradients: those of a tile, for all pixels of a block. A copy of whole vectors
/// may write beyond the last pixel.
template <class V>
inline constexpr std::int64_t packed_gradient_floats = gradient_block * gradient_rows<V> + V::width;

/// Copy the gradients of some pixels to panels, one for each tile of outputs. `from` points to the first
/// pixel's first output.
template <class V, int pixels>
MPSCNN_INLINE void pack_gradients(const OutputTiles<V> &tiles, const float *from, std::ptrdiff_t stride,
                                  float *to) {
    // Each pixel writes whole vectors. What it writes after its tile is overwritten by the next pixel.
    static_assert(gradient_rows<V> <= V::width || gradient_rows<V> % V::width == 0);
    const std::int64_t begin = tiles.all().begin, last = tiles.all().end;
    for (std::int64_t tile = tiles.tiles.begin; tile < tiles.tiles.end;
         ++tile, to += packed_gradient_floats<V>) {
        const std::int64_t first = tiles.first(tile), left = last - first;
        const float *const at = from + first - begin;
#pragma GCC unroll 4
        for (std::int64_t o = 0; o < gradient_rows<V>; o += V::width) {
            if (o >= left) break;
            for (int p = 0; p < pixels; ++p)
                V::store(to + p * gradient_rows<V> + o, load_lanes<V>(at + p * stride + o, left - o));
        }
    }
}

/// Copy some pixels to panels, one for each tile of taps, by copy. `from` points to the first pixel's tap
/// number 0, which is channel number `channel`.
template <class V, int pixels, class Copy>
MPSCNN_INLINE void pack_inputs(const float *from, std::ptrdiff_t stride, std::int64_t channel,
                               std::int64_t taps, float *to, const Copy &copy) {
    for (std::int64_t tap = 0; tap < taps; tap += tile_taps<V>, to += gradient_block * tile_taps<V>)
        for (std::int64_t v = 0; v < tile_taps<V> && tap + v < taps; v += V::width)
            copy.template vectors<pixels>(from + tap + v, stride, to + v, tile_taps<V>, channel + tap + v,
                                          taps - tap - v);
}

/// Copies vectors of several pixels.
template <class V> struct PlainCopy {
    MPSCNN_INLINE void operator()(const float *from, float *to, std::int64_t, std::int64_t count) const {
        copy_channels<V>(from, to, count);
    }
    template <int pixels>
    MPSCNN_INLINE void vectors(const float *from, std::ptrdiff_t stride, float *to, std::ptrdiff_t to_stride,
                               std::int64_t, std::int64_t left) const {
#pragma GCC unroll 4
        for (int p = 0; p < pixels; ++p) V::store(to + p * to_stride, load_lanes<V>(from + p * stride, left));
    }
};

template <class V, bool normalizes>
void dense_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                    std::int64_t item, float *scratch) {
    const std::int64_t output_block = item % plan.output_blocks,
                       tap_block = item / plan.output_blocks % plan.tap_blocks,
                       group = item / (plan.output_blocks * plan.tap_blocks);
    const Range taps{tap_block * plan.block_taps, min((tap_block + 1) * plan.block_taps, plan.taps)};
    const OutputTiles<V> tiles(plan, output_block);
    const Range outputs = tiles.all();
    const std::int64_t channels = task.source.channels / task.groups, first_channel = group * channels;
    const std::int64_t pitch = row_pitch<V>(taps.size());
    const PartResult sums(task, plan, part);
    float *const result = sums.data + group * plan.outputs * sums.output_stride + taps.begin;
    const Range rows_of_sums = rows_of_part(task, part);
    if (rows_of_sums.empty())
        for (std::int64_t o = outputs.begin; o < outputs.end; ++o)
            for (std::int64_t i = 0; i < taps.size(); ++i) result[o * sums.output_stride + i] = 0.0f;
    bool first_block = true;

    const auto copy = [&] {
        if constexpr (normalizes) {
            float *const numbers = scratch;
            scratch += NormalizedCopy<V>::floats(task.source.channels);
            return NormalizedCopy<V>(task, numbers);
        } else {
            return PlainCopy<V>();
        }
    }();
    // Lanes after the last tap are computed as well. Set them to zero, because scratch memory may hold
    // subnormal numbers, which some processors multiply a hundred times more slowly.
    if (!plan.reads_source && !plan.packs_inputs)
        for (std::int64_t p = 0; p < gradient_block; ++p)
            for (std::int64_t i = taps.size(); i < pitch; ++i) scratch[p * pitch + i] = 0.0f;
    float *const packed_gradients = scratch + plan.input_floats;

    for_each_block(task, rows_of_sums, [&](const PixelBlock &pixels) {
        const std::int64_t first = first_channel + taps.begin,
                           first_output = group * plan.outputs + outputs.begin;
        const float *const source = pixel_at(task.source, pixels.image, pixels.y, pixels.x) + first;
        const float *const given = pixel_at(task.gradient, pixels.image, pixels.y, pixels.x) + first_output;
        const std::ptrdiff_t given_stride = task.gradient.pixel_stride;
        std::int64_t count = pixels.pixels;
        // `inputs` and `gradients` are the operands of the first pixel. Pixels and tiles are at equal
        // distances.
        const float *inputs = scratch, *gradients = packed_gradients;
        std::ptrdiff_t input_stride = pitch, gradient_stride = gradient_rows<V>;
        std::ptrdiff_t input_step = tile_taps<V>;
        const auto ahead = [&](const float *from, std::ptrdiff_t stride, bool reads) {
            return BlockAhead(from + pixels.follow * stride, reads ? pixels.follow * stride : 0);
        };
        BlockAhead inputs_ahead =
                       ahead(source, task.source.pixel_stride, plan.reads_source && !has_bfloat16<V>),
                   gradients_ahead = ahead(given, given_stride, !has_bfloat16<V>);
        if (plan.reads_source) {
            inputs = source, input_stride = task.source.pixel_stride;
        } else if (!plan.one_pixel) {
            gather_taps<V, !normalizes>(task, pixels, first_channel, channels, taps, scratch, pitch, copy);
        } else if (!plan.packs_inputs) {
            for (std::int64_t p = 0; p < count; ++p)
                copy(source + p * task.source.pixel_stride, scratch + p * pitch, first, taps.size());
        } else {
            const std::ptrdiff_t stride = task.source.pixel_stride;
            for_some_pixels(count, [&]<int some>(std::int64_t p) {
                pack_inputs<V, some>(source + p * stride, stride, first, taps.size(),
                                     scratch + p * tile_taps<V>, copy);
            });
            input_stride = tile_taps<V>, input_step = gradient_block * tile_taps<V>;
        }
        if constexpr (has_bfloat16<V>) {
            gradient_stride = round_up(outputs.size(), V::width);
            pair_pixels<V>(inputs, input_stride, count, taps.size(), scratch, pitch);
            if (task.gradient.element == Element::bfloat16) {
                const auto *own =
                    pixel_at<typename V::element>(task.gradient, pixels.image, pixels.y, pixels.x);
                pair_pixels<V>(own + first_output, given_stride, count, outputs.size(), packed_gradients,
                               gradient_stride);
            } else {
                pair_pixels<V>(given, given_stride, count, outputs.size(), packed_gradients, gradient_stride);
            }
            inputs = scratch, input_stride = pitch;
            count = divide_up(count, 2);
        } else if (plan.packs_gradients) {
            for_some_pixels(count, [&]<int some>(std::int64_t p) {
                pack_gradients<V, some>(tiles, given + p * given_stride, given_stride,
                                        packed_gradients + p * gradient_rows<V>);
            });
        } else {
            gradients = given, gradient_stride = given_stride;
        }
        [[maybe_unused]] const BlockArithmetic<V> arithmetic;
        for (std::int64_t tap = 0; tap < taps.size(); tap += tile_taps<V>, inputs += input_step) {
            const std::int64_t left = taps.size() - tap;
            for (std::int64_t number = tiles.tiles.begin; number < tiles.tiles.end; ++number) {
                const Range rows = tiles.outputs(number);
                const AddProducts add = left > V::width ? products_function<V, 2>(rows.size())
                                                        : products_function<V, 1>(rows.size());
                const std::ptrdiff_t to_tile = plan.packs_gradients
                                                   ? (number - tiles.tiles.begin) * packed_gradient_floats<V>
                                                   : rows.begin - outputs.begin;
                add({inputs, gradients + to_tile, input_stride, gradient_stride, count,
                     inputs_ahead.take(count), gradients_ahead.take(count), first_block},
                    result + rows.begin * sums.output_stride + tap, sums.output_stride, left);
            }
        }
        first_block = false;
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
    plan.packs_gradients = !has_bfloat16<V> && plan.block_taps >= 3 * tile_taps<V>;
    plan.reads_source = plan.one_pixel && !normalizes &&
                        (has_bfloat16<V> || (!plan.packs_gradients && channels % V::width == 0));
    std::int64_t floats = normalizes ? NormalizedCopy<V>::floats(from.channels) : 0;
    plan.packs_inputs = plan.one_pixel && !plan.reads_source && !has_bfloat16<V>;
    plan.input_floats =
        gradient_block * (plan.packs_inputs ? plan.block_taps : row_pitch<V>(plan.block_taps));
    floats += plan.input_floats;
    if (has_bfloat16<V>) // for the paired gradients
        floats += gradient_block / 2 * (round_up(plan.outputs, V::width) + V::width);
    else if (plan.packs_gradients)
        floats += divide_up(plan.outputs, gradient_rows<V>) * packed_gradient_floats<V>;
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
