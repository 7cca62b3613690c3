// The kernels of array_product.metal for GPUs that multiply matrices: the family Apple 7 and later. The four
// simdgroups of a threadgroup each compute a quarter of the tile, 32 x 32 results, in matrices of 8 x 8.
// Metal does not define which elements of a matrix a thread holds. So matrices go through threadgroup memory
// before each thread stores its eight rows of four columns.

#include <metal_stdlib>

#include "array_product_kernels.h"

using namespace metal;

/// The sums of a simdgroup. Operands are floats, too: Metal 2.3 does not document products of halves with sums
/// of floats, so halves are converted when they are written to threadgroup memory. Sums are not added in
/// blocks, because that needs twice the registers. So the host takes these kernels for at most
/// simdgroup_sum_depths products.
struct SimdgroupSums {
    simdgroup_float8x8 block[4][4];

    void begin() {
#pragma unroll
        for (uint i = 0u; i < 16u; ++i)
            block[i / 4u][i % 4u] = make_filled_simdgroup_matrix<float, 8, 8>(0.0f);
    }
    /// Add the products of the parts of both operands that are in threadgroup memory.
    void add(const threadgroup float *tiles, uint simdgroup) {
        const threadgroup float *left = tiles + first_row(simdgroup);
        const threadgroup float *right = tiles + product_depth * product_pitch + first_column(simdgroup);
#pragma unroll
        for (uint depth = 0u; depth < product_depth; depth += 8u) {
            simdgroup_float8x8 rows[4];
#pragma unroll
            for (uint i = 0u; i < 4u; ++i)
                simdgroup_load(rows[i], left + i * 8u, product_pitch, ulong2(0), true);
#pragma unroll
            for (uint j = 0u; j < 4u; ++j) {
                simdgroup_float8x8 columns;
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
#define MULTIPLY_FLOATS(OPERANDS, LEFT, RIGHT)                                                               \
    SimdgroupSums sums;                                                                                      \
    ADD_PRODUCTS(sums, float, simdgroup, OPERANDS, LEFT, RIGHT)                                              \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    sums.put(tiles, simdgroup);                                                                              \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    const ProductResults results = results_in(tiles, thread_index);

CONVOLUTION_PRODUCT(array_product_in_simdgroups, OPERANDS_OF(ConvolutionOperands, float4, float),
                    PRODUCT_LANE, MULTIPLY_FLOATS)
CONVOLUTION_PRODUCT(array_pointwise_product_in_simdgroups, OPERANDS_OF(PointwiseOperands, float4, float),
                    PRODUCT_LANE, MULTIPLY_FLOATS)
CONVOLUTION_PRODUCT(array_product_of_halves_in_simdgroups, OPERANDS_OF(ConvolutionOperands, half4, float),
                    PRODUCT_LANE, MULTIPLY_FLOATS)
CONVOLUTION_PRODUCT(array_pointwise_product_of_halves_in_simdgroups,
                    OPERANDS_OF(PointwiseOperands, half4, float), PRODUCT_LANE, MULTIPLY_FLOATS)

SEPARABLE_PRODUCT(array_separable_product_step1_in_simdgroups, SEPARABLE_OF(1u, float4, float), PRODUCT_LANE,
                  MULTIPLY_FLOATS)
SEPARABLE_PRODUCT(array_separable_product_step2_in_simdgroups, SEPARABLE_OF(2u, float4, float), PRODUCT_LANE,
                  MULTIPLY_FLOATS)
SEPARABLE_PRODUCT(array_separable_product_step1_of_halves_in_simdgroups, SEPARABLE_OF(1u, half4, float),
                  PRODUCT_LANE, MULTIPLY_FLOATS)
SEPARABLE_PRODUCT(array_separable_product_step2_of_halves_in_simdgroups, SEPARABLE_OF(2u, half4, float),
                  PRODUCT_LANE, MULTIPLY_FLOATS)

DATA_GRADIENT_PRODUCT(array_data_gradient_product_in_simdgroups, PRODUCT_LANE, MULTIPLY_FLOATS)
WEIGHT_GRADIENT_PRODUCT(array_weight_gradient_product_in_simdgroups, PRODUCT_LANE, MULTIPLY_FLOATS)
