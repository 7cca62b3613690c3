#pragma once

// The register block of the matrix product with AMX's tile registers for bfloat16. It multiplies two tiles of
// up to 16 pixels by two tiles of 16 output channels, 16 pairs of inputs at a time. Sums have the order of
// gemm_block_tile.h.
//
// Weights stay in L1 for all pixels, because inputs are loaded with an instruction that does not displace
// them.
//
// Four tile registers hold sums, one holds inputs and one weights for whole blocks of 16 pairs. Two more are
// for the last pairs of a piece, whose rows are shorter. Four products need five loads, which take 37 of
// their 64 cycles. With many inputs the speed is limited by products. Layers with few inputs are slower,
// because sums pass through L1 to the epilogue. Layers with few pixels are slower, because weights come from
// memory.

#include "cpu/isa/amx_tiles.h"
#include "cpu/kernels/convolution/gemm_block_tile.h"
#include "cpu/kernels/convolution/gemm_tile.h"

namespace mpscnn::cpu {
namespace {

/// Multiplies pixels by a panel of 16 or 32 channels.
template <class V> class TileProduct {
    using Tiles = typename V::Tiles;
    static constexpr int whole_inputs = 4, whole_weights = 5, last_inputs = 6, last_weights = 7;
    static constexpr std::int64_t columns = 16; ///< columns of a tile of sums or weights

public:
    /// Configure the tile registers for tiles of `pixels` pixels.
    TileProduct(const PixelRun &run, std::int64_t pixels, const ChannelPanel &panel)
        : run_(run), panel_(panel), vectors_((panel.channels + V::width - 1) / V::width) {
        TileConfiguration configuration;
        for (int sums = 0; sums < 4; ++sums) configuration.set(sums, pixels, 4 * columns);
        configuration.set(whole_inputs, pixels, 4 * block_pairs);
        configuration.set(whole_weights, block_pairs, 4 * columns);
        if (const std::int64_t last = run.length % block_pairs; last > 0) {
            configuration.set(last_inputs, pixels, 4 * last);
            configuration.set(last_weights, last, 4 * columns);
        }
        Tiles::configure(configuration);
    }

    /// Multiply `Count` tiles of pixels, one or two. `ahead` is the address of weights to prefetch.
    template <int Count> void multiply(const PixelTile *tile, const char *ahead) const {
        if (vectors_ == 1)
            multiply_tiles<Count, 1>(tile, ahead);
        else
            multiply_tiles<Count, 2>(tile, ahead);
    }

private:
    template <int Count, int Vectors> void multiply_tiles(const PixelTile *tile, const char *ahead) const {
        static_assert(Vectors <= V::gemm_last_vectors && V::gemm_last_vectors == 2 && V::width == columns);
        begin<0, Vectors>(tile[0]);
        if constexpr (Count == 2) begin<1, Vectors>(tile[1]);
        const float *inputs[2] = {tile[0].source, tile[Count - 1].source};
        const float *weights = panel_.weights + run_.first_weight * Vectors * columns;
        for (std::int64_t row = 0; row < run_.rows; ++row) {
            for (std::int64_t column = 0; column < run_.columns; ++column) {
                const std::ptrdiff_t offset = row * run_.row_stride + column * run_.column_stride;
                std::int64_t k = 0;
                for (; k + block_pairs <= run_.length; k += block_pairs) {
                    const char *const next = ahead + Count * block_pairs * panel_.ahead_step;
                    for (; ahead < next; ahead += 256) // the hardware prefetcher loads the lines in between
                        __builtin_prefetch(ahead, 0, 2);
                    add<Count, Vectors, whole_inputs, whole_weights>(inputs, offset + k, weights);
                    weights += block_pairs * Vectors * columns;
                }
                if (k < run_.length) {
                    add<Count, Vectors, last_inputs, last_weights>(inputs, offset + k, weights);
                    weights += (run_.length - k) * Vectors * columns;
                }
            }
            weights += run_.skipped_weights * Vectors * columns;
        }
        finish<0, Vectors>(tile[0]);
        if constexpr (Count == 2) finish<1, Vectors>(tile[1]);
    }

    /// Initialize the sums with the bias.
    template <int Index, int Vectors> void begin(const PixelTile &tile) const {
        const float *start = panel_.bias + tile.start;
        const std::ptrdiff_t stride = 4 * run_.start_stride;
        Tiles::template load<2 * Index>(start, stride);
        if constexpr (Vectors == 2) Tiles::template load<2 * Index + 1>(start + columns, stride);
    }

    template <int Count, int Vectors, int Inputs, int Weights>
    MPSCNN_INLINE void add(const float *const (&inputs)[2], std::ptrdiff_t offset,
                           const float *weights) const {
        const std::ptrdiff_t pixel = 4 * run_.pixel_stride, row = 4 * Vectors * columns;
        Tiles::template load<Weights>(weights, row);
        Tiles::template load_stream<Inputs>(inputs[0] + offset, pixel);
        Tiles::template multiply<0, Inputs, Weights>();
        if constexpr (Vectors == 2) {
            Tiles::template load<Weights>(weights + columns, row);
            Tiles::template multiply<1, Inputs, Weights>();
        }
        if constexpr (Count == 2) {
            Tiles::template load_stream<Inputs>(inputs[1] + offset, pixel);
            Tiles::template multiply<Vectors == 2 ? 3 : 2, Inputs, Weights>();
            if constexpr (Vectors == 2) {
                Tiles::template load<Weights>(weights, row);
                Tiles::template multiply<2, Inputs, Weights>();
            }
        }
    }

    /// Apply the epilogue to the sums of a tile and store the results.
    template <int Index, int Vectors> void finish(const PixelTile &tile) const {
        alignas(64) float sums[16 * Vectors * columns];
        constexpr std::ptrdiff_t stride = 4 * Vectors * columns;
        Tiles::template store<2 * Index>(sums, stride);
        if constexpr (Vectors == 2) Tiles::template store<2 * Index + 1>(sums + columns, stride);
        if (!panel_.plain) {
            if (panel_.element == Element::float32)
                return finish_sums<V, float, Vectors>(tile, 0, tile.pixels, panel_, sums);
            return finish_sums<V, typename V::element, Vectors>(tile, 0, tile.pixels, panel_, sums);
        }
        if (panel_.element == Element::float32) return store_plain<float, Vectors>(tile, sums);
        store_plain<typename V::element, Vectors>(tile, sums);
    }

    template <class Result, int Vectors>
    MPSCNN_INLINE void store_plain(const PixelTile &tile, const float *sums) const {
        auto *to = reinterpret_cast<Result *>(tile.destination) + panel_.offset;
        for (std::int64_t row = 0; row < tile.pixels; ++row, to += run_.destination_stride) {
            typename V::reg x[1][Vectors];
#pragma GCC unroll 2
            for (int v = 0; v < Vectors; ++v) x[0][v] = V::load(sums + (row * Vectors + v) * columns);
            store_clamped<V>(panel_, x, to, 0);
        }
    }

    const PixelRun &run_;
    const ChannelPanel &panel_;
    std::int64_t vectors_;
};

/// Compute what multiply_tiles() of gemm_tile.h computes, with tile registers. The tiles must have equal
/// numbers of pixels.
template <class V>
void multiply_with_tiles(const PixelTile *tile, std::int64_t count, const ChannelPanel &panel) {
    const char *ahead = panel.ahead;
    for (std::int64_t i = 0; i < count;) {
        // Adjacent tiles of one run have the same taps, so they are multiplied together.
        std::int64_t end = i + 1;
        while (end < count && tile[end].run == tile[i].run) ++end;
        const TileProduct<V> product(*tile[i].run, tile[i].pixels, panel);
        for (; i + 2 <= end; i += 2, ahead += 2 * panel.ahead_tile)
            product.template multiply<2>(tile + i, ahead);
        if (i < end) {
            product.template multiply<1>(tile + i, ahead);
            ++i, ahead += panel.ahead_tile;
        }
    }
    V::Tiles::release(); // otherwise the system would save these registers when it switches threads
}

} // namespace
} // namespace mpscnn::cpu
