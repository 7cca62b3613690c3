#pragma once

// Dense 3x3 and 5x5 convolutions without stride by Winograd's algorithm, F(4x4, 3x3) and F(2x2, 5x5):
// Winograd, "Arithmetic complexity of computations", 1980; Lavin and Gray, "Fast algorithms for convolutional
// neural networks", 2015.
//
// A tile of 4 x 4 outputs (2 x 2 for a 5x5 kernel) reads 6 x 6 inputs. The inputs and the kernel are
// transformed to the values of polynomials at 6 x 6 points and multiplied there. This takes 36 products
// instead of 144 (5x5: 100). At each point, the products summed over all inputs are a matrix product, whose
// rows are the tiles. It uses the register blocks of gemm_tile.h, for one panel of output channels at a time,
// so that an item's products stay in L2.
//
// Transforms hold the six vectors of a row or column in registers. The speed is limited by FMAs. The
// transforms take about a quarter of the time, because they wait for stores. Transformed weights take up to
// four times the memory of plain ones, which are kept as well.
//
// The points are 0, +-5/8, +-3/2 and infinity. With inputs of similar size, errors are about as large as with
// plain sums, and at most twice as large for 3x3. Points at small integers would give three times the error.
// All constants are exact, except in the transform of the kernel. An output depends on all inputs of its
// tile, so a large input increases the errors of all outputs of the tile. An input that is not finite would
// make all outputs of the tile wrong, so such tiles are computed by plain products. Finite inputs above 1e38
// may overflow in the transforms without being noticed. Then outputs of the tile are not finite.

#include "cpu/kernels/convolution/convolution_gemm.h"
#include "cpu/kernels/convolution/winograd_transform.h"

namespace mpscnn::cpu {
namespace {

/// The maximum number of tiles of an item. It must be at most 64, because each tile has a bit
/// (non_finite_tiles()).
inline constexpr std::int64_t max_winograd_tiles = 48;

/// Return the number of outputs of a tile along one axis.
inline std::int64_t tile_outputs(const ConvolutionShape &shape) {
    return Winograd::points + 1 - shape.kernel_height;
}

struct WinogradPlan {
    std::int64_t outputs;                  ///< outputs of a tile along one axis
    std::int64_t rows, columns, tiles;     ///< tiles of an image, by rows and columns; tiles of all images
    std::int64_t tile_blocks, block_tiles; ///< a block has at most block_tiles tiles
    std::int64_t panel_blocks;
    std::int64_t pitch;                                 ///< floats of the inputs of a tile at one point
    std::int64_t inputs_stride, products_stride, zeros; ///< floats between points; floats of zeros
    CacheSizes caches;
    GemmPlan product; ///< plan of the product at a point; only the fields of plan_weights() are set

    std::int64_t items() const { return tile_blocks * panel_blocks; }
};

template <class V> inline WinogradPlan winograd_plan(const ConvolutionTask &task, const Planning &planning) {
    constexpr std::int64_t max_nr = V::gemm_last_vectors * V::width, size = sizeof(float);
    const std::int64_t l2_bytes = planning.caches.second, threads = planning.threads;
    // Weights that do not fit L2 are read again for each block of tiles, so blocks should be larger then.
    const bool weights_pass = static_cast<std::int64_t>(task.packed->weights.size()) * size > l2_bytes;
    const std::int64_t cached_floats = (weights_pass ? l2_bytes * 3 / 4 : l2_bytes / 2) / size;
    const View &output = task.destination;
    WinogradPlan plan;
    plan.caches = planning.caches;
    plan.outputs = tile_outputs(*task.packed);
    plan.rows = divide_up(output.height, plan.outputs);
    plan.columns = divide_up(output.width, plan.outputs);
    plan.tiles = output.batch * plan.rows * plan.columns;
    plan.pitch = round_up_to_width<V>(task.packed->inputs_per_group);
    const std::int64_t maximum =
        clamped(cached_floats / (Winograd::all_points * plan.pitch), V::gemm_rows, max_winograd_tiles);
    plan_weights<V>(*task.packed, plan.product);
    plan.product.depth = task.packed->inputs_per_group;
    plan.tile_blocks = divide_up(plan.tiles, maximum);
    plan.panel_blocks = 1;
    if (weights_pass && plan.tile_blocks < threads) { // each thread then reads only some of the weights
        plan.panel_blocks = min(plan.product.panels, divide_up(threads, plan.tile_blocks));
        plan.tile_blocks = max(plan.tile_blocks, divide_up(threads, plan.panel_blocks));
    } else {
        plan.tile_blocks = round_up(plan.tile_blocks, threads);
    }
    plan.tile_blocks = min(plan.tiles, plan.tile_blocks);
    plan.block_tiles = divide_up(plan.tiles, plan.tile_blocks);
    plan.inputs_stride = spread(plan.block_tiles * plan.pitch);
    plan.products_stride = spread(plan.block_tiles * max_nr);
    plan.zeros = spread(max(plan.pitch, max_nr));
    return plan;
}

template <class V> std::size_t winograd_packed_size(const ConvolutionShape &shape) {
    return static_cast<std::size_t>(Winograd::all_points * shape.inputs_per_group *
                                    round_up_to_width<V>(shape.outputs));
}

/// The number of inputs whose kernels are transformed together.
inline constexpr int kernel_lanes = 8;
using KernelLanes = double[kernel_lanes];

/// Evaluate the polynomial of each lane at the points of the Winograd transform. A polynomial has `count`
/// coefficients, `stride` apart. Divide the values by the divisors of the interpolation here, so that the
/// interpolation needs no divisions.
inline void evaluate_kernels(const KernelLanes *coefficients, std::int64_t count, std::int64_t stride,
                             KernelLanes (&values)[Winograd::points]) {
    constexpr double near = Winograd::near_point, far = Winograd::far_point;
    constexpr double near_square = near * near, far_square = far * far;
    constexpr double at[] = {0, near, -near, far, -far};
    constexpr double divisor[] = {near_square * far_square, 2 * near_square * (near_square - far_square),
                                  2 * far_square * (far_square - near_square)};
    for (int i = 0; i + 1 < Winograd::points; ++i) {
        KernelLanes value = {};
        for (std::int64_t k = count; k-- > 0;)
            for (int lane = 0; lane < kernel_lanes; ++lane)
                value[lane] = value[lane] * at[i] + coefficients[k * stride][lane];
        for (int lane = 0; lane < kernel_lanes; ++lane) values[i][lane] = value[lane] / divisor[(i + 1) / 2];
    }
    for (int lane = 0; lane < kernel_lanes; ++lane)
        values[Winograd::points - 1][lane] = coefficients[(count - 1) * stride][lane];
}

/// Transform the kernels of panel `index` and pack them for gemm_tile.h: [point][input][channels].
template <class V>
void winograd_pack_panel(const ConvolutionShape &shape, const float *weights, std::int64_t index,
                         float *packed) {
    constexpr int points = Winograd::points, max_taps = 5;
    const std::int64_t inputs = shape.inputs_per_group, kernel = shape.kernel_height;
    const Range panel = panel_outputs<V>(shape.outputs, index);
    const std::int64_t nr = round_up_to_width<V>(panel.size());
    for (std::int64_t i = 0; i < Winograd::all_points * inputs * nr; ++i) packed[i] = 0.0f;
    KernelLanes taps[max_taps * max_taps] = {}, rows[max_taps][points], values[points];
    for (std::int64_t channel = 0; channel < panel.size(); ++channel)
        for (std::int64_t k = 0; k < inputs; k += kernel_lanes) {
            const auto lanes = static_cast<int>(min(kernel_lanes, inputs - k));
            const float *from = weights + (panel.begin + channel) * kernel * kernel * inputs + k;
            for (std::int64_t tap = 0; tap < kernel * kernel; ++tap, from += inputs)
                for (int lane = 0; lane < lanes; ++lane) taps[tap][lane] = static_cast<double>(from[lane]);
            for (int y = 0; y < kernel; ++y) evaluate_kernels(taps + y * kernel, kernel, 1, rows[y]);
            for (int x = 0; x < points; ++x) {
                evaluate_kernels(&rows[0][x], kernel, points, values);
                for (int y = 0; y < points; ++y) {
                    float *to = packed + ((y * points + x) * inputs + k) * nr + channel;
                    for (int lane = 0; lane < lanes; ++lane, to += nr)
                        *to = static_cast<float>(values[y][lane]);
                }
            }
        }
}

/// Return the offset of a panel in the packed weights.
template <class V>
inline std::int64_t winograd_panel_offset(const ConvolutionShape &shape, std::int64_t panel) {
    return Winograd::all_points * shape.inputs_per_group * panel * V::gemm_vectors * V::width;
}

template <class V> void winograd_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    for (std::int64_t p = 0; p < panel_count<V>(shape.outputs); ++p)
        winograd_pack_panel<V>(shape, weights, p, packed + winograd_panel_offset<V>(shape, p));
}

/// Transform one vector of channels of a tile. load(tap) reads it, and the values at the points are stored at
/// `to`, `stride` apart.
template <class V, class Load>
MPSCNN_INLINE void transform_vector(const float *const (&taps)[Winograd::all_points], float *to,
                                    std::int64_t stride, Load load) {
    constexpr int points = Winograd::points;
    typename V::reg rows[points][points];
#pragma GCC unroll 6
    for (int x = 0; x < points; ++x) {
        typename V::reg column[points];
#pragma GCC unroll 6
        for (int y = 0; y < points; ++y) column[y] = load(taps[y * points + x]);
        transform_inputs<V>(column);
#pragma GCC unroll 6
        for (int y = 0; y < points; ++y) rows[y][x] = column[y];
    }
#pragma GCC unroll 6
    for (int y = 0; y < points; ++y) {
        transform_inputs<V>(rows[y]);
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) V::store(to + (y * points + x) * stride, rows[y][x]);
    }
}

/// The position of a tile of outputs.
struct WinogradTile {
    std::int64_t image, y, x; ///< image and position of the tile's first output

    static WinogradTile number(const WinogradPlan &plan, std::int64_t index) {
        const std::int64_t row = index / plan.columns;
        return {row / plan.rows, row % plan.rows * plan.outputs, index % plan.columns * plan.outputs};
    }
};

template <class V>
inline void transform_tile(const ConvolutionTask &task, const WinogradPlan &plan, const WinogradTile &tile,
                           const float *zeros, float *to) {
    constexpr int points = Winograd::points;
    const ConstView &source = task.source;
    const float *const image = source.data + tile.image * source.image_stride;
    const std::int64_t top = tile.y - task.vertical.before, left = tile.x - task.horizontal.before;
    const float *taps[Winograd::all_points];
    for (std::int64_t y = 0; y < points; ++y)
        for (std::int64_t x = 0; x < points; ++x) {
            const bool inside =
                top + y >= 0 && top + y < source.height && left + x >= 0 && left + x < source.width;
            taps[y * points + x] =
                inside ? image + (top + y) * source.row_stride + (left + x) * source.pixel_stride : zeros;
        }
    const std::int64_t inputs = task.packed->inputs_per_group, whole = inputs / V::width * V::width;
    std::int64_t c = 0;
    for (; c < whole; c += V::width)
        transform_vector<V>(taps, to + c, plan.inputs_stride,
                            [c](const float *tap) { return V::load(tap + c); });
    if (c < inputs)
        transform_vector<V>(taps, to + c, plan.inputs_stride,
                            [c, inputs](const float *tap) { return V::load_partial(tap + c, inputs - c); });
}

/// Return true for the four points whose products non_finite_tiles() reads.
inline bool is_corner(int point) {
    constexpr int last = Winograd::points - 1, last_row = last * Winograd::points;
    return point % last_row == 0 || point % last_row == last;
}

/// Compute a panel's products at the points for which chosen(point) is true: [point][tile][channels].
template <class V, class Chosen>
inline void multiply_points(const GemmPlan &product, const WinogradPlan &plan, ChannelPanel panel,
                            std::int64_t tiles, const float *zeros, const float *inputs, float *products,
                            Chosen chosen) {
    const std::int64_t nr = round_up_to_width<V>(panel.channels);
    const PixelRun run = pointwise_run(product.depth, plan.pitch, nr);
    panel = plain_sums(panel);
    panel.bias = zeros;
    panel.channel = panel.offset = 0;
    const std::int64_t blocks = divide_up(tiles, V::gemm_rows);
    PixelTile block[max_winograd_tiles / V::gemm_rows + 1];
    for (int point = 0; point < Winograd::all_points; ++point) {
        // Order the blocks by size, because multiply_block() computes adjacent blocks of equal size together.
        std::int64_t first = 0;
        for (std::int64_t i = 0; i < blocks; ++i) {
            const std::int64_t size = tiles / blocks + (i < tiles % blocks);
            block[i] = {&run, inputs + first * plan.pitch, products + first * nr, nullptr, size};
            first += size;
        }
        if (chosen(point)) multiply_block<V>(product, block, blocks, panel);
        panel.weights += product.depth * nr;
        inputs += plan.inputs_stride;
        products += plan.products_stride;
    }
}

/// The addresses of a tile's outputs, and their number, which may be smaller for the last tile of an axis.
struct WinogradTarget {
    float *data;
    const float *residual;
    std::int64_t rows, columns;
};

inline WinogradTarget winograd_target(const ConvolutionTask &task, const WinogradPlan &plan,
                                      const WinogradTile &tile) {
    const View &output = task.destination;
    const ConstView *residual = task.epilogue.residual;
    const auto offset = [&](const auto &view) {
        return tile.image * view.image_stride + tile.y * view.row_stride + tile.x * view.pixel_stride;
    };
    return {output.data + offset(output), residual ? residual->data + offset(*residual) : nullptr,
            min(plan.outputs, output.height - tile.y), min(plan.outputs, output.width - tile.x)};
}

/// Store one vector of channels of a tile's outputs.
template <class V, int count>
inline void store_outputs(const ConvolutionTask &task, const ChannelPanel &panel,
                          const WinogradTarget &target, const typename V::reg (&outputs)[count][count]) {
    const View &to = task.destination;
    if (panel.plain && !target.residual) {
        const auto low = V::set1(panel.low), high = V::set1(panel.high);
        const bool finishes = panel.epilogue->rounds || is_function(*panel.epilogue);
        for (std::int64_t y = 0; y < target.rows; ++y) {
            float *const row = target.data + y * to.row_stride + panel.offset;
            for (std::int64_t x = 0; x < target.columns; ++x)
                V::store(row + x * to.pixel_stride, V::min(high, V::max(low, outputs[y][x])));
            if (finishes) finish_stored<V>(*panel.epilogue, row, to.pixel_stride, target.columns, V::width);
        }
        return;
    }
    const ConstView *residual = task.epilogue.residual;
    PixelRun run{};
    run.destination_stride = to.pixel_stride;
    run.residual_stride = residual ? residual->pixel_stride : 0;
    for (std::int64_t y = 0; y < target.rows; ++y) {
        alignas(64) float sums[count * V::width];
        for (std::int64_t x = 0; x < target.columns; ++x) V::store(sums + x * V::width, outputs[y][x]);
        const PixelTile pixels{&run, nullptr, target.data + y * to.row_stride,
                               residual ? target.residual + y * residual->row_stride : nullptr,
                               target.columns};
        finish_sums<V, typename V::element, 1>(pixels, 0, target.columns, panel, sums);
    }
}

/// Compute the outputs of a tile for one panel. `products` points to its products at the first point.
template <class V, int outputs>
inline void finish_tile(const ConvolutionTask &task, const WinogradPlan &plan, ChannelPanel panel,
                        const WinogradTarget &target, const float *products) {
    constexpr int points = Winograd::points;
    for (; panel.channels > 0; panel.channels -= V::width) {
        typename V::reg rows[outputs][points];
#pragma GCC unroll 6
        for (int x = 0; x < points; ++x) {
            typename V::reg column[points], result[outputs];
#pragma GCC unroll 6
            for (int y = 0; y < points; ++y)
                column[y] = V::load(products + (y * points + x) * plan.products_stride);
            transform_products<V>(column, result);
#pragma GCC unroll 4
            for (int y = 0; y < outputs; ++y) rows[y][x] = result[y];
        }
        typename V::reg result[outputs][outputs];
        const auto bias = V::load(panel.bias);
#pragma GCC unroll 4
        for (int y = 0; y < outputs; ++y) {
            transform_products<V>(rows[y], result[y]);
#pragma GCC unroll 4
            for (int x = 0; x < outputs; ++x) result[y][x] = V::add(result[y][x], bias);
        }
        store_outputs<V>(task, panel, target, result);
        products += V::width;
        panel.bias += V::width;
        panel.channel += V::width, panel.offset += V::width;
        panel.writable -= V::width;
    }
}

/// Return one bit for each tile of an item: 1 if the tile reads an input that is not finite, or if its
/// products at the corners overflow. The products of any output channel show it: along each axis, the value
/// at point 0 includes the even inputs, and the value at infinity includes the odd inputs. The products of
/// adjacent tiles are `pitch` apart.
inline std::uint64_t non_finite_tiles(const WinogradPlan &plan, std::int64_t tiles, const float *products,
                                      std::int64_t pitch) {
    constexpr int last = Winograd::points - 1;
    const std::int64_t right = last * plan.products_stride, bottom = Winograd::points * right;
    std::uint64_t non_finite = 0;
    for (std::int64_t i = 0; i < tiles; ++i, products += pitch) {
        const float corners[] = {products[0], products[right], products[bottom], products[bottom + right]};
        float zero = 0.0f; // or NaN
        for (const float corner : corners) zero += 0.0f * corner;
        non_finite |= static_cast<std::uint64_t>(zero != 0.0f) << i;
    }
    return non_finite;
}

/// Compute a tile as a plain convolution, because it reads an input that is not finite (see
/// non_finite_tiles()). Neither the choice of these tiles nor their results depend on how the work is
/// divided.
template <class V>
__attribute__((noinline)) void multiply_tile_plainly(const ConvolutionTask &task, const WinogradPlan &plan,
                                                     const WinogradTile &tile, std::byte *scratch) {
    const WinogradTarget target = winograd_target(task, plan, tile);
    ConvolutionTask own = task;
    own.packed = task.packed->plain.get();
    own.source.data += tile.image * task.source.image_stride;
    own.vertical.before -= tile.y, own.horizontal.before -= tile.x;
    own.source.batch = own.destination.batch = 1;
    own.destination.data = target.data;
    own.destination.height = target.rows, own.destination.width = target.columns;
    ConstView residual;
    if (task.epilogue.residual) {
        residual = *task.epilogue.residual;
        residual.data = target.residual;
        own.epilogue.residual = &residual;
    }
    RegionList list; // made for each tile, because few tiles are computed this way and their borders differ
    const GemmPlan product = gemm_plan<V>(own, 1, plan.caches, list);
    for (std::int64_t item = 0; item < product.items(); ++item) run_item<V>(own, product, item, scratch);
}

template <class V>
inline void run_winograd_item(const ConvolutionTask &task, const WinogradPlan &plan, std::int64_t item,
                              float *scratch) {
    float *const zeros = scratch, *const inputs = zeros + plan.zeros;
    float *const products = inputs + Winograd::all_points * plan.inputs_stride;
    for (std::int64_t i = 0; i < plan.zeros; ++i) zeros[i] = 0.0f;
    const Range tiles = part_of(plan.tiles, plan.tile_blocks, item % plan.tile_blocks);
    const Range panels = part_of(plan.product.panels, plan.panel_blocks, item / plan.tile_blocks);
    for (std::int64_t t = tiles.begin; t < tiles.end; ++t)
        transform_tile<V>(task, plan, WinogradTile::number(plan, t), zeros,
                          inputs + (t - tiles.begin) * plan.pitch);

    const GemmPlan &product = plan.product;
    const auto multiply = [&](std::int64_t p, auto chosen) {
        ChannelPanel panel = channel_panel<V>(task, product, 0, p);
        panel.weights = task.packed->weights.data() + panel.channel * product.depth * Winograd::all_points;
        multiply_points<V>(product, plan, panel, tiles.size(), zeros, inputs, products, chosen);
        return panel;
    };
    // Find the tiles with non-finite inputs by the products of the first panel in all items, so that the
    // result does not depend on how the work is divided. The item that owns the first panel computes these
    // tiles for all channels.
    std::uint64_t non_finite = 0;
    const auto look_for_spoilt = [&](const ChannelPanel &first) {
        non_finite = non_finite_tiles(plan, tiles.size(), products, round_up_to_width<V>(first.channels));
    };
    if (panels.begin > 0) look_for_spoilt(multiply(0, is_corner));
    for (std::int64_t p = panels.begin; p < panels.end; ++p) {
        const ChannelPanel panel = multiply(p, [](int) { return true; });
        if (p == 0) look_for_spoilt(panel);
        const std::int64_t nr = round_up_to_width<V>(panel.channels);
        const auto finish = plan.outputs == 2 ? finish_tile<V, 2> : finish_tile<V, 4>;
        for (std::int64_t t = tiles.begin; t < tiles.end; ++t) {
            const std::int64_t i = t - tiles.begin;
            if (!(non_finite >> i & 1))
                finish(task, plan, panel, winograd_target(task, plan, WinogradTile::number(plan, t)),
                       products + i * nr);
        }
    }
    if (panels.begin > 0) return;
    for (std::int64_t t = tiles.begin; non_finite; ++t, non_finite >>= 1)
        if (non_finite & 1)
            multiply_tile_plainly<V>(task, plan, WinogradTile::number(plan, t),
                                     reinterpret_cast<std::byte *>(scratch));
}

/// Return the floats of scratch memory that an item needs. multiply_tile_plainly(), which may gather all
/// windows, uses it too.
template <class V>
inline std::int64_t winograd_scratch(const ConvolutionTask &task, const WinogradPlan &plan) {
    constexpr std::int64_t tile_floats = (sizeof(PixelTile) + sizeof(float) - 1) / sizeof(float), line = 16;
    const std::int64_t pixels = plan.outputs * plan.outputs;
    GemmPlan plain;
    plan_weights<V>(*task.packed->plain, plain);
    return max(plan.zeros + Winograd::all_points * (plan.inputs_stride + plan.products_stride),
               pixels * (tile_floats + plain.gathered_pitch) + line + V::width);
}

template <class V> Prepared winograd_prepare(const ConvolutionTask &task, const Planning &planning) {
    const WinogradPlan plan = winograd_plan<V>(task, planning);
    Prepared prepared = planning.keep(
        plan, plan.items(), static_cast<std::size_t>(winograd_scratch<V>(task, plan)) * sizeof(float));
    prepared.variant = "winograd";
    return prepared;
}

template <class V>
void winograd_run(const ConvolutionTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &worker) {
    const auto &plan = prepared.plan_as<WinogradPlan>();
    for (std::int64_t item = begin; item < end; ++item)
        run_winograd_item<V>(task, plan, item, reinterpret_cast<float *>(worker.scratch));
}

} // namespace
} // namespace mpscnn::cpu
