#pragma once

// The register block of the matrix product for narrow groups of `size` inputs and outputs each: `MR` output
// pixels times one register with outputs of several groups. An input is copied only to the outputs of its own
// group. Zero weights for other groups would not do, since zero times NaN is NaN. Bound by shuffles, one for
// each product. Groups that do not fill a register leave lanes empty.

#include "cpu/isa/lane_shuffles.h"
#include "cpu/kernels/convolution/gemm_tile.h"

namespace mpscnn::cpu {
namespace {

/// The maximum number of rows. So many independent sums hide the latency of an FMA.
inline constexpr int max_group_rows = 8;

/// sums += inputs of MR pixels * weights [index][lane], for each index of a group's inputs.
template <class V, int size, int MR>
MPSCNN_INLINE void multiply_packed_group_inputs(typename V::reg (&sums)[MR][1], const float *a,
                                                std::ptrdiff_t stride, const float *weights) {
    typename V::reg b[size];
#pragma GCC unroll 8
    for (int i = 0; i < size; ++i) b[i] = V::load(weights + i * V::width);
#pragma GCC unroll 8
    for (int r = 0; r < MR; ++r) {
        const auto x = V::load(a + r * stride);
        [&]<int... index>(std::integer_sequence<int, index...>) {
            ((sums[r][0] = V::fma(repeat_lane<V, size, index>(x), b[index], sums[r][0])), ...);
        }(std::make_integer_sequence<int, size>());
    }
}

template <class V, int size, int MR>
void multiply_packed_group_tiles(const PixelTile *tile, std::int64_t count, const ChannelPanel &panel) {
    for (const PixelTile *end = tile + count; tile != end; ++tile) {
        typename V::reg sums[MR][1];
        const auto bias = V::load(panel.bias);
#pragma GCC unroll 8
        for (int r = 0; r < MR; ++r) sums[r][0] = bias;
        const PixelRun &run = *tile->run;
        // One register of inputs is multiplied with `size` registers of weights.
        const float *source = tile->source, *weights = panel.weights + run.first_weight * size;
        for (std::int64_t y = 0; y < run.rows; ++y) {
            for (std::int64_t x = 0; x < run.columns; ++x)
                for (std::int64_t k = 0; k < run.length; k += V::width, weights += size * V::width)
                    multiply_packed_group_inputs<V, size>(sums, source + x * run.column_stride + k,
                                                          run.pixel_stride, weights);
            source += run.row_stride;
            weights += run.skipped_weights * size;
        }
        finish_rows<V>(*tile, 0, panel, sums);
    }
}

template <class V, int size, int MR = max_group_rows>
inline TilesFunction group_tiles_function_of_rows(std::int64_t rows) {
    if (rows == MR) return multiply_packed_group_tiles<V, size, MR>;
    if constexpr (MR > 1) return group_tiles_function_of_rows<V, size, MR - 1>(rows);
    return nullptr;
}

/// Return multiply_packed_group_tiles for a number of rows and of groups per register that is known at run
/// time.
template <class V, int size = V::width / 2>
inline TilesFunction group_tiles_function(std::int64_t rows, std::int64_t merged) {
    if constexpr (size >= 4) {
        if (merged * size == V::width) return group_tiles_function_of_rows<V, size>(rows);
        return group_tiles_function<V, size / 2>(rows, merged);
    }
    return nullptr;
}

} // namespace
} // namespace mpscnn::cpu
