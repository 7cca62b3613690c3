// Products of two matrices that are both tensors. The register blocks are computed by gemm_tile.h. Each work
// item packs panels of the second matrix's columns into the layout that gemm_tile.h reads. A packed panel
// stays in L1 or L2 for all rows of the item, so packing takes a small part of the time.
//
// A product is slower if it has few rows or if the first matrix has few columns.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/convolution/gemm_tile.h"
#include "cpu/kernels/convolution/pack.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The plan. A work item is a block of rows times a block of panels of one product.
struct MatrixProductPlan {
    std::int64_t rows, columns, depth; ///< extents of one product
    std::int64_t panels, row_blocks, panel_blocks;
    std::int64_t block_tiles;   ///< maximum number of tiles in a block
    std::int64_t tiles_bytes;   ///< bytes of PixelTiles at the start of scratch memory
    std::int64_t panel_floats;  ///< floats of a packed panel, after which come the zeros
    std::int64_t source_floats; ///< floats of the transposed first matrix
};

/// The number of zeros in scratch memory that sums start with in place of a bias.
template <class V> inline constexpr std::int64_t start_floats = V::gemm_last_vectors * V::width;

template <class V> Prepared matrix_product_prepare(const MatrixProductTask &task, const Planning &planning) {
    constexpr std::int64_t item_operations = 200'000, min_tiles = 5;
    const View &to = task.destination;
    MatrixProductPlan plan;
    plan.rows = to.width, plan.columns = to.channels;
    plan.depth = task.transpose_source ? task.source.width : task.source.channels;
    plan.panels = panel_count<V>(plan.columns);
    const std::int64_t tiles = divide_up(plan.rows, V::gemm_rows), products = to.batch * to.height;
    const std::int64_t operations = products * plan.rows * plan.columns * plan.depth;
    const int threads = planning.threads;
    const std::int64_t wanted =
        threads == 1 ? 1 : clamped(operations / item_operations, 1, 4 * static_cast<std::int64_t>(threads));
    // Divide panels before rows, because each block of rows packs its panels again.
    plan.panel_blocks = clamped(divide_up(wanted, products), 1, plan.panels);
    plan.row_blocks = clamped(wanted / (products * plan.panel_blocks), 1, max(1, tiles / min_tiles));
    // The rows of a block should stay in L2 while panels pass.
    const std::int64_t l2_floats = planning.caches.second / 2 / static_cast<std::int64_t>(sizeof(float));
    plan.row_blocks = clamped(divide_up(plan.rows * plan.depth, l2_floats), plan.row_blocks, max(1, tiles));
    plan.block_tiles = divide_up(tiles, plan.row_blocks);
    plan.tiles_bytes = round_up(plan.block_tiles * static_cast<std::int64_t>(sizeof(PixelTile)), 64);
    plan.panel_floats = round_up(plan.depth * V::gemm_last_vectors * V::width, 16);
    plan.source_floats =
        task.transpose_source ? round_up(plan.block_tiles * V::gemm_rows * plan.depth, 16) : 0;
    const std::int64_t floats = plan.panel_floats + start_floats<V> + plan.source_floats;
    return planning.keep(plan, products * plan.row_blocks * plan.panel_blocks,
                         static_cast<std::size_t>(plan.tiles_bytes + floats * 4));
}

/// Transpose the columns [rows) of the source, which is [depth][rows], to [rows][depth].
template <class V>
MPSCNN_INLINE void transpose_source(const float *from, std::ptrdiff_t stride, std::int64_t depth, Range rows,
                                    float *to) {
    for (std::int64_t k = 0; k < depth; ++k, from += stride)
        for (std::int64_t row = rows.begin; row < rows.end; ++row)
            to[(row - rows.begin) * depth + k] = from[row];
}

/// Pack a panel of the second matrix, times the scale: [depth][columns, padded to whole vectors].
template <class V>
void pack_panel(const MatrixProductTask &task, const float *second, std::int64_t depth, Range columns,
                float *packed) {
    const std::ptrdiff_t stride = task.second.pixel_stride;
    const std::int64_t pitch = round_up_to_width<V>(columns.size());
    if (task.transpose_second)
        for (std::int64_t first = columns.begin; first < columns.end; first += V::width)
            pack_vector<V>(second + first * stride, stride, depth, min(V::width, columns.end - first),
                           packed + first - columns.begin, pitch);
    const auto scale = V::set1(task.scale);
    for (std::int64_t k = 0; k < depth; ++k)
        for (std::int64_t c = 0; c < columns.size(); c += V::width) {
            float *to = packed + k * pitch + c;
            const auto x = task.transpose_second
                               ? V::load(to)
                               : load_lanes<V>(second + k * stride + columns.begin + c, columns.size() - c);
            V::store(to, V::mul(x, scale));
        }
}

/// Divide rows into tiles of similar sizes. They read from `source` on and write from `to` on.
template <class V>
inline std::int64_t cut_rows(const PixelRun &run, const float *source, float *to, std::int64_t rows,
                             PixelTile *tiles) {
    const std::int64_t count = divide_up(rows, V::gemm_rows);
    for (std::int64_t i = 0; i < count; ++i) {
        const Range part = part_of(rows, count, i);
        tiles[i] = {&run,
                    source + part.begin * run.pixel_stride,
                    to + part.begin * run.destination_stride,
                    nullptr,
                    part.size(),
                    0};
    }
    return count;
}

template <class V>
inline ChannelPanel product_panel(const MatrixProductTask &task, Range columns, const float *packed,
                                  const float *start, bool last) {
    const std::int64_t writable = last ? task.destination.writable_channels - columns.begin : columns.size();
    return {.weights = packed,
            .bias = start,
            .channel = columns.begin,
            .offset = columns.begin,
            .channels = columns.size(),
            .writable = writable,
            .epilogue = &task.epilogue,
            .plain = writable >= round_up_to_width<V>(columns.size()),
            .element = Element::float32,
            .low = -__builtin_inff(),
            .high = __builtin_inff(),
            .ahead = reinterpret_cast<const char *>(packed),
            .ahead_step = 0,
            .ahead_tile = 0};
}

template <class V>
void multiply_matrices(const MatrixProductTask &task, const MatrixProductPlan &plan, std::int64_t item,
                       std::byte *scratch) {
    const View &to = task.destination;
    const std::int64_t panel_block = item % plan.panel_blocks,
                       row_block = item / plan.panel_blocks % plan.row_blocks;
    const std::int64_t product = item / (plan.panel_blocks * plan.row_blocks);
    const std::int64_t image = product / to.height, y = product % to.height;
    auto *tiles = reinterpret_cast<PixelTile *>(scratch);
    auto *packed = reinterpret_cast<float *>(scratch + plan.tiles_bytes);
    float *start = packed + plan.panel_floats, *transposed = start + start_floats<V>;
    for (std::int64_t c = 0; c < start_floats<V>; c += V::width) V::store(start + c, V::zero());

    // Blocks have whole tiles, so that each block fits in scratch memory.
    const std::int64_t all_tiles = divide_up(plan.rows, V::gemm_rows);
    const Range block = part_of(all_tiles, plan.row_blocks, row_block);
    const Range rows{block.begin * V::gemm_rows, min(block.end * V::gemm_rows, plan.rows)};
    PixelRun run = pointwise_run(plan.depth, task.source.pixel_stride, to.pixel_stride);
    const float *source = pixel_at(task.source, image, y, 0);
    if (task.transpose_source) {
        transpose_source<V>(source, task.source.pixel_stride, plan.depth, rows, transposed);
        run.pixel_stride = plan.depth;
        source = transposed;
    } else {
        source += rows.begin * task.source.pixel_stride;
    }
    const std::int64_t count =
        cut_rows<V>(run, source, pixel_at(to, image, y, rows.begin), rows.size(), tiles);
    const float *second = pixel_at(task.second, image, y, 0);
    const Range panels = part_of(plan.panels, plan.panel_blocks, panel_block);
    for (std::int64_t p = panels.begin; p < panels.end; ++p) {
        const Range columns = panel_outputs<V>(plan.columns, p);
        pack_panel<V>(task, second, plan.depth, columns, packed);
        const ChannelPanel panel = product_panel<V>(task, columns, packed, start, p + 1 == plan.panels);
        for (std::int64_t first = 0, next = 0; first < count; first = next) {
            while (next < count && tiles[next].pixels == tiles[first].pixels) ++next;
            tiles_function<V, float>(tiles[first].pixels, columns.size())(tiles + first, next - first, panel);
        }
    }
}

template <class V>
void matrix_product_run(const MatrixProductTask &task, const Prepared &prepared, std::int64_t begin,
                        std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<MatrixProductPlan>();
    for (std::int64_t item = begin; item < end; ++item)
        multiply_matrices<V>(task, plan, item, worker.scratch);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(MatrixProductTask, matrix_product)
