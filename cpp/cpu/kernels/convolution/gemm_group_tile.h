#pragma once

// The register block of the matrix product for narrow groups of `size` inputs and outputs each: `MR` output
// pixels times one register with the outputs of several groups. An input is only broadcast to the outputs of
// its group. Weights of zero for the outputs of other groups would not do, because zero times NaN is NaN. The
// speed is limited by shuffles, one for each product. Groups that do not fill a register leave lanes empty.

#include "cpu/isa/lane_shuffles.h"
#include "cpu/kernels/convolution/gemm_tile.h"

namespace mpscnn::cpu {
namespace {

/// The maximum number of pixels. This many independent sums hide the latency of an FMA.
inline constexpr int max_group_rows = 8;

/// sums += inputs * weights for one register of inputs of each of MR pixels. The weights are [index of a
/// group's input][lane].
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
        // One register of inputs is multiplied by `size` registers of weights.
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

/// Return the instance of multiply_packed_group_tiles for these numbers of rows and of groups in a register,
/// which are known at run time.
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
