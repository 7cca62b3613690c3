// Convolutions without groups on arrays, and their gradients, as tiled matrix products (implicit GEMM). The
// matrix of patches is not stored in memory: threads gather its elements from the images. A thread computes
// eight rows of four columns by fused multiplications and additions, which any GPU has.

#include <metal_stdlib>

#include "array_product_kernels.h"

using namespace metal;

/// The sums of a thread.
struct ThreadSums {
    ProductResults results;
    float4 block[8];

    void begin() {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) results.rows[i] = block[i] = float4(0.0f);
    }
    /// Add the products of the parts of both operands that are in threadgroup memory.
    void add(const threadgroup float *tiles, uint thread_index) {
        const threadgroup float *left = tiles + result_row(thread_index, 0u);
        const threadgroup float *right = tiles + product_depth * product_pitch + result_column(thread_index);
        for (uint depth = 0u; depth < product_depth; ++depth) {
            const float4 upper = *reinterpret_cast<const threadgroup float4 *>(left),
                         lower = *reinterpret_cast<const threadgroup float4 *>(left + product_tile / 2u),
                         columns = *reinterpret_cast<const threadgroup float4 *>(right);
#pragma unroll
            for (uint i = 0u; i < 4u; ++i) {
                block[i] = fma(float4(upper[i]), columns, block[i]);
                block[4u + i] = fma(float4(lower[i]), columns, block[4u + i]);
            }
            left += product_pitch;
            right += product_pitch;
        }
    }
    void settle() {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) {
            results.rows[i] += block[i];
            block[i] = float4(0.0f);
        }
    }
};

#define PRODUCT_THREAD uint thread_index [[thread_index_in_threadgroup]]
#define MULTIPLY_BY_THREADS(OPERANDS, LEFT, RIGHT)                                                           \
    ThreadSums sums;                                                                                         \
    ADD_PRODUCTS(sums, float, thread_index, OPERANDS, LEFT, RIGHT)                                           \
    const ProductResults results = sums.results;

CONVOLUTION_PRODUCT(array_product, OPERANDS_OF(ConvolutionOperands, float4, float), PRODUCT_THREAD,
                    MULTIPLY_BY_THREADS)
CONVOLUTION_PRODUCT(array_pointwise_product, OPERANDS_OF(PointwiseOperands, float4, float), PRODUCT_THREAD,
                    MULTIPLY_BY_THREADS)
// The variants for a source and weights of halves.
CONVOLUTION_PRODUCT(array_product_of_halves, OPERANDS_OF(ConvolutionOperands, half4, float), PRODUCT_THREAD,
                    MULTIPLY_BY_THREADS)
CONVOLUTION_PRODUCT(array_pointwise_product_of_halves, OPERANDS_OF(PointwiseOperands, half4, float),
                    PRODUCT_THREAD, MULTIPLY_BY_THREADS)

SEPARABLE_PRODUCT(array_separable_product_step1, SEPARABLE_OF(1u, float4, float), PRODUCT_THREAD,
                  MULTIPLY_BY_THREADS)
SEPARABLE_PRODUCT(array_separable_product_step2, SEPARABLE_OF(2u, float4, float), PRODUCT_THREAD,
                  MULTIPLY_BY_THREADS)
SEPARABLE_PRODUCT(array_separable_product_step1_of_halves, SEPARABLE_OF(1u, half4, float), PRODUCT_THREAD,
                  MULTIPLY_BY_THREADS)
SEPARABLE_PRODUCT(array_separable_product_step2_of_halves, SEPARABLE_OF(2u, half4, float), PRODUCT_THREAD,
                  MULTIPLY_BY_THREADS)

DATA_GRADIENT_PRODUCT(array_data_gradient_product, PRODUCT_THREAD, MULTIPLY_BY_THREADS)
WEIGHT_GRADIENT_PRODUCT(array_weight_gradient_product, PRODUCT_THREAD, MULTIPLY_BY_THREADS)
