// Convolutions without groups on arrays, for layers with few pixels (array_small_product.h), for any GPU. A
// thread computes eight rows of four columns by fused multiplications and additions.

#include <metal_stdlib>

#include "array_small_product.h"

using namespace metal;

/// The sums of a thread, for the rows `row` to `row` + 3 and the rows 16 below. It adds products in blocks
/// of 64.
template <typename Four, typename Number> struct SmallThreadSums {
    float4 block[8], totals[8];
    Four next[8]; ///< the weights of the thread's outputs for the next eight depths
    const device float *weights;
    uint first,
        last; ///< the place of the thread's outputs in `weights`, and the last matrix along the depths
    uint row, column;

    void begin(const device float *weight, uint first_column, uint eights, uint simdgroup, uint thread_index,
               constant ArrayConvolutionParams &params) {
        row = thread_index % 32u / 8u * 4u;
        column = thread_index % 8u * 4u;
        weights = weight;
        first = (first_column + column) / 8u * eights * 64u + column % 8u;
        last = eights - 1u;
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) block[i] = totals[i] = float4(0.0f);
        read(simdgroup, params);
    }
    /// Read the weights of eight depths. After the last ones, the last ones are read again.
    void read(uint eight, constant ArrayConvolutionParams &params) {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) {
            Four quad;
            read_quad(quad, weights, first + min(eight, last) * 64u + i * 8u, params.run, 2u);
            next[i] = quad;
        }
    }
    /// Add the products of eight depths of the left operand and of the weights. Meanwhile read the weights of
    /// the next step.
    void add(const threadgroup Number *left, uint eight, constant ArrayConvolutionParams &params) {
        Four now[8];
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) now[i] = next[i];
        read(eight + small_depths / 8u, params);
#pragma unroll
        for (uint depth = 0u; depth < 8u; ++depth) {
            const threadgroup Number *from = left + depth * small_pitch + row;
            const float4 upper = *reinterpret_cast<const threadgroup float4 *>(from),
                         lower = *reinterpret_cast<const threadgroup float4 *>(from + small_tile / 2u),
                         by = float4(now[depth]);
#pragma unroll
            for (uint i = 0u; i < 4u; ++i) {
                block[i] = fma(float4(upper[i]), by, block[i]);
                block[4u + i] = fma(float4(lower[i]), by, block[4u + i]);
            }
        }
    }
    void settle() {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) {
            totals[i] += block[i];
            block[i] = float4(0.0f);
        }
    }
    void put(threadgroup float *sums) {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i)
            *reinterpret_cast<threadgroup float4 *>(
                sums + (row + i / 4u * (small_tile / 2u) + i % 4u) * small_pitch + column) = totals[i];
    }
};

// Simdgroups of some GPUs have another number of threads than 32, so their numbers are not used.
#define SMALL_THREAD uint thread_index [[thread_index_in_threadgroup]]

SMALL_PRODUCT(array_small_product, PatchRows, SmallThreadSums, float4, float, SMALL_THREAD,
              thread_index / 32u)
SMALL_PRODUCT(array_small_product_of_halves, PatchRows, SmallThreadSums, half4, float, SMALL_THREAD,
              thread_index / 32u)
SMALL_PRODUCT(array_small_pointwise_product, PixelRows, SmallThreadSums, float4, float, SMALL_THREAD,
              thread_index / 32u)
SMALL_PRODUCT(array_small_pointwise_product_of_halves, PixelRows, SmallThreadSums, half4, float, SMALL_THREAD,
              thread_index / 32u)
