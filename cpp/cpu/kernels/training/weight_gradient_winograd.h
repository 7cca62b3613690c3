#pragma once

// Weight gradients of dense 3x3 and 5x5 convolutions without stride by Winograd's algorithm (see
// convolution_winograd.h, which has the same points). A tile has 6 x 6 inputs and 4 x 4 gradients (5x5: 2 x
// 2). Both are transformed to the values at 6 x 6 points. At each point, the products of the tiles are
// summed: a matrix of outputs x inputs. The sums of a part of the pixels are transformed to the weights at
// its end. A tile takes 36 products instead of 144 (5x5: 100).
//
// The products use the register tiles of weight_gradient_dense.h, and a tile takes the place of a pixel. An
// item computes a block of inputs and outputs, whose sums at all points stay in L2. The speed is limited by
// FMAs. The transforms take a quarter to a third of the time.
//
// A number that is not finite makes the gradients of all taps of its channel NaN, or at the border of an
// input without padding those of some taps. Plain sums are NaN too, with two exceptions. Infinite products of
// one sign give an infinity, and taps that never multiply the number stay finite.

#include "cpu/kernels/convolution/winograd_transform.h"
#include "cpu/kernels/training/weight_gradient_dense.h"

#include <optional>

namespace mpscnn::cpu {
namespace {

/// The sizes of the blocks of an item.
struct WinogradBlock {
    static constexpr std::int64_t tiles = 32, inputs = 32, outputs = 64;
    static constexpr std::int64_t input_stride = spread(tiles * inputs); ///< floats between points
};

/// Return the number of pixels of the gradient of a tile along one axis.
inline std::int64_t tile_gradients(const WeightGradientTask &task) {
    return Winograd::points + 1 - task.vertical.kernel;
}

/// Return the number of tiles of all images.
inline std::int64_t winograd_tiles(const WeightGradientTask &task) {
    const std::int64_t extent = tile_gradients(task);
    return task.gradient.batch * divide_up(task.gradient.height, extent) *
           divide_up(task.gradient.width, extent);
}

/// Transform the gradients of a tile along an axis to the values at the points. The divisors of the
/// interpolation are included.
template <class V, int count>
MPSCNN_INLINE void transform_gradients(const typename V::reg (&g)[count],
                                       typename V::reg (&to)[Winograd::points]) {
    static_assert(count == 2 || count == 4);
    constexpr float near = Winograd::near_point, far = Winograd::far_point;
    constexpr float near_square = Winograd::near_square, far_square = Winograd::far_square;
    constexpr float at_near = 1 / (2 * near_square * (near_square - far_square)),
                    at_far = 1 / (2 * far_square * (far_square - near_square));
    const auto pair = [&](float point, float square, float factor, auto &plus, auto &minus) {
        auto even = g[0], odd = g[1];
        if constexpr (count == 4)
            even = V::fma(V::set1(square), g[2], even), odd = V::fma(V::set1(square), g[3], odd);
        even = V::mul(even, V::set1(factor)), odd = V::mul(odd, V::set1(factor * point));
        plus = V::add(even, odd), minus = V::sub(even, odd);
    };
    to[0] = V::mul(g[0], V::set1(1 / (near_square * far_square)));
    pair(near, near_square, at_near, to[1], to[2]);
    pair(far, far_square, at_far, to[3], to[4]);
    to[5] = g[count - 1];
}

/// Transform one vector of channels of a tile of inputs. The values at the points are stored at `to`,
/// `stride` apart. The loops over rows and columns are not unrolled here and below: the values pass through
/// L1, which takes little time compared with the products, and the code stays small.
template <class V>
void transform_input_vector(const float *const (&taps)[Winograd::all_points], std::int64_t channel,
                            std::int64_t left, float *to, std::int64_t stride) {
    constexpr int points = Winograd::points;
    typename V::reg columns[points][points];
#pragma GCC unroll 1
    for (int x = 0; x < points; ++x) {
        if (left >= V::width) {
#pragma GCC unroll 6
            for (int y = 0; y < points; ++y) columns[x][y] = V::load(taps[y * points + x] + channel);
        } else {
#pragma GCC unroll 1
            for (int y = 0; y < points; ++y)
                columns[x][y] = V::load_partial(taps[y * points + x] + channel, left);
        }
        transform_inputs<V>(columns[x]);
    }
#pragma GCC unroll 1
    for (int y = 0; y < points; ++y) {
        typename V::reg row[points];
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) row[x] = columns[x][y];
        transform_inputs<V>(row);
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) V::store(to + (y * points + x) * stride, row[x]);
    }
}

/// Transform one vector of channels of a tile of gradients, as transform_input_vector() does for inputs.
template <class V, int count>
void transform_gradient_vector(const float *const *pixels, std::int64_t channel, std::int64_t left, float *to,
                               std::int64_t stride) {
    constexpr int points = Winograd::points;
    typename V::reg columns[count][points];
#pragma GCC unroll 1
    for (int x = 0; x < count; ++x) {
        typename V::reg column[count];
        for (int y = 0; y < count; ++y) column[y] = load_lanes<V>(pixels[y * count + x] + channel, left);
        transform_gradients<V, count>(column, columns[x]);
    }
#pragma GCC unroll 1
    for (int y = 0; y < points; ++y) {
        typename V::reg row[count], values[points];
#pragma GCC unroll 4
        for (int x = 0; x < count; ++x) row[x] = columns[x][y];
        transform_gradients<V, count>(row, values);
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) V::store(to + (y * points + x) * stride, values[x]);
    }
}

/// Transform a vector of sums at the points to the weights, and store them tap by tap.
template <class V, int kernel>
void store_weights(const float *sums, std::int64_t stride, float *to, std::int64_t tap_stride,
                   std::int64_t left) {
    constexpr int points = Winograd::points;
    typename V::reg columns[points][kernel];
#pragma GCC unroll 1
    for (int x = 0; x < points; ++x) {
        typename V::reg column[points];
#pragma GCC unroll 6
        for (int y = 0; y < points; ++y) column[y] = V::load(sums + (y * points + x) * stride);
        transform_products<V>(column, columns[x]);
    }
#pragma GCC unroll 1
    for (int y = 0; y < kernel; ++y) {
        typename V::reg row[points], result[kernel];
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) row[x] = columns[x][y];
        transform_products<V>(row, result);
#pragma GCC unroll 1
        for (int x = 0; x < kernel; ++x) store_lanes<V>(to + (y * kernel + x) * tap_stride, result[x], left);
    }
}

/// Fill in the addresses of a channel of the pixels of a square. Those outside the image are `zeros`.
inline void square_pixels(const ConstView &view, std::int64_t extent, std::int64_t image, std::int64_t top,
                          std::int64_t left, std::int64_t channel, const float *zeros, const float **pixels) {
    for (std::int64_t y = top; y < top + extent; ++y)
        for (std::int64_t x = left; x < left + extent; ++x) {
            const bool inside = y >= 0 && y < view.height && x >= 0 && x < view.width;
            *pixels++ = inside ? pixel_at(view, image, y, x) + channel : zeros;
        }
}

/// Compute the gradient of one part of the pixels for a block of inputs and outputs.
template <class V>
void winograd_gradient(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t part,
                       std::int64_t item, float *scratch) {
    constexpr int points = Winograd::points, all_points = Winograd::all_points;
    using Block = WinogradBlock;
    const bool three = task.vertical.kernel == 3;
    const auto transform_pixels = three ? transform_gradient_vector<V, 4> : transform_gradient_vector<V, 2>;
    const std::int64_t extent = tile_gradients(task);
    const std::int64_t channels = task.source.channels;
    const std::int64_t first_input = item / plan.output_blocks * Block::inputs;
    const std::int64_t inputs = min(Block::inputs, channels - first_input);
    const Range outputs = part_of(plan.outputs, plan.output_blocks, item % plan.output_blocks);
    const std::int64_t output_pitch = round_up(outputs.size(), V::width);
    const std::int64_t gradient_stride = spread(Block::tiles * output_pitch);

    const auto take = [&](std::int64_t floats) {
        float *const taken = scratch;
        scratch += floats;
        return taken;
    };
    float *const zeros = take(Block::outputs), *const values = take(all_points * Block::input_stride),
                 *const gradients = take(all_points * gradient_stride),
                 *const sums = take(all_points * outputs.size() * Block::inputs),
                 *const copies = take(all_points * Block::inputs);
    for (std::int64_t i = 0; i < Block::outputs; ++i) zeros[i] = 0.0f;
    for (std::int64_t i = 0; i < all_points * outputs.size() * Block::inputs; ++i) sums[i] = 0.0f;
    // Vectors that are not read from the source stay zero.
    for (std::int64_t i = 0; i < all_points * Block::input_stride; ++i) values[i] = 0.0f;
    std::optional<NormalizedCopy<V>> normalized;
    if (task.normalization.applies) normalized.emplace(task, scratch);

    const std::int64_t rows = divide_up(task.gradient.height, extent),
                       columns = divide_up(task.gradient.width, extent);
    const auto transform_tile = [&](std::int64_t tile, std::int64_t place) {
        const std::int64_t row = tile / columns, image = row / rows;
        const std::int64_t top = row % rows * extent, left = tile % columns * extent;
        const float *taps[all_points], *pixels[all_points];
        square_pixels(task.source, points, image, top - task.vertical.before, left - task.horizontal.before,
                      first_input, zeros, taps);
        square_pixels(task.gradient, extent, image, top, left, outputs.begin, zeros, pixels);
        if (normalized)
            for (int i = 0; i < all_points; ++i) {
                if (taps[i] == zeros) continue;
                (*normalized)(taps[i], copies + i * Block::inputs, first_input, inputs);
                taps[i] = copies + i * Block::inputs;
            }
        for (std::int64_t c = 0; c < inputs; c += V::width)
            transform_input_vector<V>(taps, c, inputs - c, values + place * Block::inputs + c,
                                      Block::input_stride);
        for (std::int64_t c = 0; c < outputs.size(); c += V::width)
            transform_pixels(pixels, c, outputs.size() - c, gradients + place * output_pitch + c,
                             gradient_stride);
    };
    const Range tiles = part_of(winograd_tiles(task), task.parts, part);
    const std::int64_t register_tiles = divide_up(outputs.size(), gradient_rows<V>);
    for (std::int64_t first = tiles.begin; first < tiles.end; first += Block::tiles) {
        const std::int64_t count = min(Block::tiles, tiles.end - first);
        for (std::int64_t i = 0; i < count; ++i) transform_tile(first + i, i);
        for (int point = 0; point < all_points; ++point)
            for (std::int64_t input = 0; input < inputs; input += tile_taps<V>)
                for (std::int64_t number = 0; number < register_tiles; ++number) {
                    const Range own = part_of(outputs.size(), register_tiles, number);
                    const float *const x = values + point * Block::input_stride + input,
                                       *const g = gradients + point * gradient_stride + own.begin;
                    products_function<V, 2>(own.size())(
                        {x, g, Block::inputs, output_pitch, count, {x, 0}, {g, 0}},
                        sums + (point * outputs.size() + own.begin) * Block::inputs + input, Block::inputs,
                        tile_taps<V>);
                }
    }
    const PartResult result(task, plan, part);
    const auto store = three ? store_weights<V, 3> : store_weights<V, 5>;
    for (std::int64_t o = 0; o < outputs.size(); ++o)
        for (std::int64_t c = 0; c < inputs; c += V::width)
            store(sums + o * Block::inputs + c, outputs.size() * Block::inputs,
                  result.data + (outputs.begin + o) * result.output_stride + first_input + c, channels,
                  inputs - c);
}

template <class V>
Prepared winograd_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    using Block = WinogradBlock;
    const std::int64_t channels = task.source.channels;
    WeightGradientPlan plan{};
    plan.outputs = task.gradient.channels;
    plan.taps = task.vertical.kernel * task.horizontal.kernel * channels;
    plan.tap_blocks = divide_up(channels, Block::inputs);
    // Each block of outputs transforms its inputs again. So there are only more blocks if some threads would
    // have no work otherwise.
    const std::int64_t wanted = planning.threads == 1 ? 1 : 2 * static_cast<std::int64_t>(planning.threads);
    const std::int64_t minimum = divide_up(plan.outputs, Block::outputs),
                       maximum = divide_up(plan.outputs, gradient_rows<V>);
    plan.output_blocks =
        clamped(divide_up(wanted, task.parts * plan.tap_blocks), minimum, max(minimum, maximum));
    plan.items = plan.tap_blocks * plan.output_blocks;
    const std::int64_t outputs = divide_up(plan.outputs, plan.output_blocks);
    const std::int64_t floats =
        Block::outputs +
        Winograd::all_points * (Block::input_stride + spread(Block::tiles * round_up(outputs, V::width)) +
                                outputs * Block::inputs + Block::inputs) +
        NormalizedCopy<V>::floats(channels);
    Prepared prepared =
        planning.keep(plan, task.parts * plan.items, static_cast<std::size_t>(floats) * sizeof(float));
    prepared.variant = "winograd";
    return prepared;
}

template <class V>
void winograd_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                           std::int64_t end, Worker &worker) {
    run_gradient_items(task, prepared, begin, end, worker, winograd_gradient<V>);
}

} // namespace
} // namespace mpscnn::cpu
