#pragma once

// The register block of the matrix product for few outputs: `MR` output pixels times `NR` channels. The lanes
// of a register are inputs, because few outputs would leave most lanes empty.
//
// Each of the MR x NR results has `common_sums` partial sums in registers, for at most eight pixels. One more
// register holds a vector of inputs, which is read once for all outputs, and NR registers hold weights. The
// speed is limited by loads, one for every `NR` FMAs. At the end, the partial sums of V::width results are
// added up together. gemm_tile.h adds in another order, so its results may differ in the last bits. Therefore
// the layer's shape alone selects the kernel, not the number of threads.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/kernels/convolution/gemm_tile.h"
#include "cpu/kernels/convolution/pack.h"

namespace mpscnn::cpu {
namespace {

/// The largest number of pixels of a tile. Eight independent sums hide the latency of an FMA.
template <class V> constexpr int max_dot_rows(int outputs) {
    const int rows = V::gemm_rows * V::gemm_vectors / (outputs * sum_vectors<V>);
    return rows < 1 ? 1 : rows < 8 ? rows : 8;
}

/// Add the products of `length` inputs and weights to `sums`, lane by lane. `a` points to MR pixels that are
/// `stride` apart. Advances `weights`.
template <class V, int MR, int NR>
MPSCNN_INLINE void multiply_dot_piece(typename V::reg (&sums)[MR][NR][sum_vectors<V>], const float *a,
                                      std::ptrdiff_t stride, const float *&weights, std::int64_t length) {
    constexpr int pointers = (MR + 2) / 3; // as in multiply_piece()
    const float *base[pointers];
#pragma GCC unroll 16
    for (int p = 0; p < pointers; ++p) base[p] = a + 3 * p * stride;
    for (std::int64_t k = 0; k < length; k += common_sums) {
#pragma GCC unroll 4
        for (int v = 0; v < sum_vectors<V>; ++v) {
            typename V::reg b[NR];
#pragma GCC unroll 8
            for (int o = 0; o < NR; ++o) b[o] = V::load(weights + o * common_sums + v * V::width);
#pragma GCC unroll 32
            for (int r = 0; r < MR; ++r) {
                auto x = V::load(base[r / 3] + (r % 3) * stride + v * V::width);
                keep_in_register(x);
#pragma GCC unroll 8
                for (int o = 0; o < NR; ++o) sums[r][o][v] = V::fma(x, b[o], sums[r][o][v]);
            }
        }
#pragma GCC unroll 16
        for (int p = 0; p < pointers; ++p) base[p] += common_sums;
        weights += NR * common_sums;
    }
}

template <class V> MPSCNN_INLINE typename V::reg folded_sums(const float *sums) {
    CommonSums<V> all(V::zero());
#pragma GCC unroll 4
    for (int v = 0; v < sum_vectors<V>; ++v) all.parts[v] = V::load(sums + v * V::width);
    return all.folded();
}

/// Add up the lanes of `outputs` partial sums for each of `rows` pixels, apply the epilogue and store the
/// results.
template <class V>
__attribute__((noinline)) void finish_dots(const PixelTile &tile, const ChannelPanel &panel,
                                           const float *sums, std::int64_t rows, std::int64_t outputs) {
    constexpr std::int64_t max_dots = 8 * max_dot_outputs;
    const std::int64_t count = rows * outputs;
    float dots[max_dots + V::width];
    for (std::int64_t first = 0; first < count; first += V::width) {
        typename V::reg x[V::width];
#pragma GCC unroll 16
        for (std::int64_t i = 0; i < V::width; ++i)
            x[i] = first + i < count ? folded_sums<V>(sums + (first + i) * common_sums) : V::zero();
        sum_lanes<V>(x);
        V::store(dots + first, x[0]);
    }
    alignas(64) float values[8 * V::width];
    for (std::int64_t row = 0; row < rows; ++row) {
        float *pixel = values + row * V::width;
        V::store(pixel, V::load(panel.bias));
        for (std::int64_t o = 0; o < outputs; ++o) pixel[o] += dots[row * outputs + o];
    }
    finish_sums<V, float, 1>(tile, 0, rows, panel, values);
}

template <class V, int MR, int NR>
void multiply_dot_tiles(const PixelTile *tile, std::int64_t count, const ChannelPanel &panel) {
    for (const PixelTile *end = tile + count; tile != end; ++tile) {
        typename V::reg sums[MR][NR][sum_vectors<V>];
#pragma GCC unroll 32
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int o = 0; o < NR; ++o)
#pragma GCC unroll 4
                for (int v = 0; v < sum_vectors<V>; ++v) sums[r][o][v] = V::zero();
        const PixelRun &run = *tile->run;
        const float *source = tile->source, *weights = panel.weights + run.first_weight * NR;
        for (std::int64_t y = 0; y < run.rows; ++y) {
            for (std::int64_t x = 0; x < run.columns; ++x)
                multiply_dot_piece<V>(sums, source + x * run.column_stride, run.pixel_stride, weights,
                                      run.length);
            source += run.row_stride;
            weights += run.skipped_weights * NR;
        }
        alignas(64) float values[MR * NR * common_sums];
#pragma GCC unroll 32
        for (int r = 0; r < MR; ++r)
#pragma GCC unroll 8
            for (int o = 0; o < NR; ++o)
#pragma GCC unroll 4
                for (int v = 0; v < sum_vectors<V>; ++v)
                    V::store(values + (r * NR + o) * common_sums + v * V::width, sums[r][o][v]);
        finish_dots<V>(*tile, panel, values, MR, NR);
    }
}

template <class V, int NR, int MR = max_dot_rows<V>(NR)>
inline TilesFunction dot_tiles_function_of_rows(std::int64_t rows) {
    if (rows == MR) return multiply_dot_tiles<V, MR, NR>;
    if constexpr (MR > 1) return dot_tiles_function_of_rows<V, NR, MR - 1>(rows);
    return nullptr;
}

/// Return the instance of multiply_dot_tiles for these numbers of rows and outputs, which are known at run
/// time.
template <class V, int NR = max_dot_outputs>
inline TilesFunction dot_tiles_function(std::int64_t rows, std::int64_t outputs) {
    if (outputs == NR) return dot_tiles_function_of_rows<V, NR>(rows);
    if constexpr (NR > 1) return dot_tiles_function<V, NR - 1>(rows, outputs);
    return nullptr;
}

} // namespace
} // namespace mpscnn::cpu
