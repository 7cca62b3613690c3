#pragma once

// The sums of the kernels of array_small_product.h on GPUs that multiply matrices: the family Apple 7 and
// later. A simdgroup multiplies matrices of 8 x 8, and loads those of weights from device memory. So weights
// must have the type `Number`.

#include <metal_stdlib>

#include "array_small_product.h"

using namespace metal;

/// The sums of a simdgroup for the whole tile.
template <typename Four, typename Number> struct SmallSimdgroupSums {
    simdgroup_float8x8 block[4][4];
    const device Number *weights; ///< those of the first eight outputs
    uint pitch;                   ///< numbers from the weights of eight outputs to those of the next eight

    void begin(const device float *weight, uint first_column, uint eights, uint, uint,
               constant ArrayConvolutionParams &) {
        pitch = eights * 64u;
        weights = reinterpret_cast<const device Number *>(weight) + first_column / 8u * pitch;
#pragma unroll
        for (uint i = 0u; i < 16u; ++i)
            block[i / 4u][i % 4u] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    void add(const threadgroup Number *left, uint eight, constant ArrayConvolutionParams &) {
        simdgroup_matrix<Number, 8, 8> columns[4];
#pragma unroll
        for (uint j = 0u; j < 4u; ++j) simdgroup_load(columns[j], weights + j * pitch + eight * 64u, 8u);
#pragma unroll
        for (uint i = 0u; i < 4u; ++i) {
            simdgroup_matrix<Number, 8, 8> rows;
            simdgroup_load(rows, left + i * 8u, small_pitch, ulong2(0), true);
#pragma unroll
            for (uint j = 0u; j < 4u; ++j)
                simdgroup_multiply_accumulate(block[i][j], rows, columns[j], block[i][j]);
        }
    }
    void settle() {}
    void put(threadgroup float *sums) {
#pragma unroll
        for (uint i = 0u; i < 16u; ++i)
            simdgroup_store(block[i / 4u][i % 4u], sums + i / 4u * 8u * small_pitch + i % 4u * 8u,
                            small_pitch);
    }
};

#define SMALL_LANE                                                                                           \
    uint thread_index [[thread_index_in_threadgroup]], uint number [[simdgroup_index_in_threadgroup]]
