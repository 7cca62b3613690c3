// The kernels of array_product.metal for GPUs that multiply matrices: the family Apple 7 and later. The four
// simdgroups of a threadgroup each compute a quarter of the tile, 32 x 32 results, in matrices of 8 x 8.
// Metal does not define which elements of a matrix a thread holds. So matrices go through threadgroup memory
// before each thread stores its eight rows of four columns.

#include <metal_stdlib>

#include "array_product_kernels.h"

using namespace metal;

/// The sums of a simdgroup. Both operands are `Number`s, and the sums are floats. They are not added in
/// blocks, because that needs twice the registers. So the host takes these kernels for at most
/// simdgroup_sum_depths products.
template <typename Number> struct SimdgroupSums {
    simdgroup_float8x8 block[4][4];

    void begin() {
#pragma unroll
        for (uint i = 0u; i < 16u; ++i)
            block[i / 4u][i % 4u] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    /// Add the products of the parts of both operands that are in threadgroup memory.
    void add(const threadgroup Number *tiles, uint simdgroup) {
        const threadgroup Number *left = tiles + first_row(simdgroup);
        const threadgroup Number *right = tiles + product_depth * product_pitch + first_column(simdgroup);
#pragma unroll
        for (uint depth = 0u; depth < product_depth; depth += 8u) {
            simdgroup_matrix<Number, 8, 8> rows[4];
#pragma unroll
            for (uint i = 0u; i < 4u; ++i)
                simdgroup_load(rows[i], left + i * 8u, product_pitch, ulong2(0), true);
#pragma unroll
            for (uint j = 0u; j < 4u; ++j) {
                simdgroup_matrix<Number, 8, 8> columns;
                simdgroup_load(columns, right + j * 8u, product_pitch);
#pragma unroll
                for (uint i = 0u; i < 4u; ++i)
                    simdgroup_multiply_accumulate(block[i][j], rows[i], columns, block[i][j]);
            }
            left += 8u * product_pitch;
            right += 8u * product_pitch;
        }
    }
    void settle() {}
    /// Write the sums to their places in a tile, whose rows are product_pitch apart.
    void put(threadgroup float *tile, uint simdgroup) {
        threadgroup float *to = tile + first_row(simdgroup) * product_pitch + first_column(simdgroup);
#pragma unroll
        for (uint i = 0u; i < 16u; ++i)
            simdgroup_store(block[i / 4u][i % 4u], to + i / 4u * 8u * product_pitch + i % 4u * 8u,
                            product_pitch);
    }

    uint first_row(uint simdgroup) { return simdgroup / 2u * (product_tile / 2u); }
    uint first_column(uint simdgroup) { return simdgroup % 2u * (product_tile / 2u); }
};

inline ProductResults results_in(const threadgroup float *tile, uint thread_index) {
    ProductResults results;
#pragma unroll
    for (uint i = 0u; i < 8u; ++i)
        results.rows[i] = *reinterpret_cast<const threadgroup float4 *>(
            tile + result_row(thread_index, i) * product_pitch + result_column(thread_index));
    return results;
}

#define PRODUCT_LANE                                                                                         \
    uint thread_index [[thread_index_in_threadgroup]], uint simdgroup [[simdgroup_index_in_threadgroup]]
#define MULTIPLY_IN_SIMDGROUPS(NUMBER, OPERANDS, LEFT, RIGHT)                                                \
    SimdgroupSums<NUMBER> sums;                                                                              \
    ADD_PRODUCTS(sums, NUMBER, simdgroup, OPERANDS, LEFT, RIGHT)                                             \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    sums.put(tiles, simdgroup);                                                                              \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    const ProductResults results = results_in(tiles, thread_index);
#define MULTIPLY_FLOATS(OPERANDS, LEFT, RIGHT) MULTIPLY_IN_SIMDGROUPS(float, OPERANDS, LEFT, RIGHT)
#define MULTIPLY_HALVES(OPERANDS, LEFT, RIGHT) MULTIPLY_IN_SIMDGROUPS(half, OPERANDS, LEFT, RIGHT)

CONVOLUTION_PRODUCT(array_product_in_simdgroups, OPERANDS_OF(ConvolutionOperands, float4, float),
                    PRODUCT_LANE, MULTIPLY_FLOATS)
CONVOLUTION_PRODUCT(array_pointwise_product_in_simdgroups, OPERANDS_OF(PointwiseOperands, float4, float),
                    PRODUCT_LANE, MULTIPLY_FLOATS)
CONVOLUTION_PRODUCT(array_product_of_halves_in_simdgroups, OPERANDS_OF(ConvolutionOperands, half4, half),
                    PRODUCT_LANE, MULTIPLY_HALVES)
CONVOLUTION_PRODUCT(array_pointwise_product_of_halves_in_simdgroups,
                    OPERANDS_OF(PointwiseOperands, half4, half), PRODUCT_LANE, MULTIPLY_HALVES)

SEPARABLE_PRODUCT(array_separable_product_step1_in_simdgroups, SEPARABLE_OF(1u, float4, float), PRODUCT_LANE,
                  MULTIPLY_FLOATS)
SEPARABLE_PRODUCT(array_separable_product_step2_in_simdgroups, SEPARABLE_OF(2u, float4, float), PRODUCT_LANE,
                  MULTIPLY_FLOATS)
SEPARABLE_PRODUCT(array_separable_product_step1_of_halves_in_simdgroups, SEPARABLE_OF(1u, half4, half),
                  PRODUCT_LANE, MULTIPLY_HALVES)
SEPARABLE_PRODUCT(array_separable_product_step2_of_halves_in_simdgroups, SEPARABLE_OF(2u, half4, half),
                  PRODUCT_LANE, MULTIPLY_HALVES)

DATA_GRADIENT_PRODUCT(array_data_gradient_product_in_simdgroups, PRODUCT_LANE, MULTIPLY_FLOATS)
WEIGHT_GRADIENT_PRODUCT(array_weight_gradient_product_in_simdgroups, PRODUCT_LANE, MULTIPLY_FLOATS)
