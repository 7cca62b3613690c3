#pragma once

// The kernels of matrix products. A threadgroup computes a tile of the product. In each step it copies
// product_depth columns of the left operand's rows, and product_depth rows of the right operand's columns, to
// threadgroup memory. While it multiplies these, it reads those of the next step to registers. It adds
// products in blocks of 64, which reduces the rounding error of long sums.

#include <metal_stdlib>

#include "activation.h"
#include "array_product_operands.h"

using namespace metal;

/// The results of a thread, eight rows of four columns.
struct ProductResults {
    float4 rows[8];
};

/// Return the row in the tile of a thread's result i. Rows 4 to 7 are half a tile below rows 0 to 3.
inline uint result_row(uint thread_index, uint i) {
    return thread_index / 16u * 4u + i / 4u * (product_tile / 2u) + i % 4u;
}
inline uint result_column(uint thread_index) { return thread_index % 16u * 4u; }

/// Store four results in a row of a matrix, leaving out those outside the matrix.
inline void store_four(device float *matrix, float4 values, uint number, uint row, uint rows, uint column,
                       uint columns, constant ArrayRun &run) {
    if (row >= rows || column >= columns) return;
    const uint first = row * columns + column;
    if (columns % 4u == 0u) return store_quad(matrix, values, first, run, number);
    for (uint lane = 0u; lane < min(4u, columns - column); ++lane)
        store(matrix, values[lane], first + lane, run, number);
}

/// Store the results of a thread in a matrix.
inline void store_results(ProductResults results, ProductTile tile, uint thread_index, device float *matrix,
                          uint number, uint rows, uint columns, constant ArrayRun &run) {
#pragma unroll
    for (uint i = 0u; i < 8u; ++i)
        store_four(matrix, results.rows[i], number, tile.row + result_row(thread_index, i), rows,
                   tile.column + result_column(thread_index), columns, run);
}

/// Store the results of a convolution in buffer `number`: the thread's sums plus the bias and, if there is
/// one, the addend, after the activation.
inline void store_convolved(ProductResults results, ProductTile tile, uint thread_index,
                            const device float *bias, const device float *addend, device float *result,
                            uint number, constant ArrayRun &run, constant ArrayConvolutionParams &params) {
    const uint rows = pixels_of(params.output), columns = params.output.channels,
               column = tile.column + result_column(thread_index);
    float4 biases = float4(0.0f);
    if (params.has_bias != 0) biases = row_four<float4>(bias, 3u, 0u, 1u, column, columns, run);
#pragma unroll
    for (uint i = 0u; i < 8u; ++i) {
        const uint row = tile.row + result_row(thread_index, i);
        float4 sum = results.rows[i] + biases;
        if (params.has_addend != 0) sum += row_four<float4>(addend, 4u, row, rows, column, columns, run);
        store_four(result, activate(sum, params.activation, float4(0.0f)), number, row, rows, column, columns,
                   run);
    }
}

/// Multiply both operands and add the products to SUMS, in `steps` steps of product_depth. Threadgroup memory
/// has two halves of NUMBERs. While one is multiplied, the other is filled, so each step needs only one
/// barrier (double buffering). SUMS holds the sums of one thread or one simdgroup, whose index is WHO.
#define ADD_PRODUCTS(SUMS, NUMBER, WHO, OPERANDS, LEFT, RIGHT)                                               \
    SUMS.begin();                                                                                            \
    OPERANDS.read(LEFT, RIGHT, params);                                                                      \
    for (uint step = 0u; step < steps; ++step) {                                                             \
        threadgroup NUMBER *both =                                                                           \
            reinterpret_cast<threadgroup NUMBER *>(tiles) + step % 2u * product_floats;                      \
        OPERANDS.put(both, thread_index);                                                                    \
        threadgroup_barrier(mem_flags::mem_threadgroup);                                                     \
        if (step + 1u < steps) OPERANDS.read(LEFT, RIGHT, params);                                           \
        SUMS.add(both, WHO);                                                                                 \
        if (step % 4u == 3u) SUMS.settle();                                                                  \
    }                                                                                                        \
    SUMS.settle();

// Macros for kernels. THREAD is the parameter `thread_index`, and those parameters that MULTIPLY needs.
// MULTIPLY(OPERANDS, LEFT, RIGHT) defines `results`, the ProductResults of the thread.

/// These macros stand for operand types in the arguments of the macros below. A type itself cannot be such an
/// argument, because the commas between its template arguments would end it.
#define OPERANDS_OF(PRODUCT, FOUR, NUMBER) PRODUCT<FOUR, NUMBER>
#define SEPARABLE_OF(STEP, FOUR, NUMBER) SeparableOperands<STEP, FOUR, NUMBER>

#define CONVOLUTION_PRODUCT(NAME, OPERANDS, THREAD, MULTIPLY)                                                \
    [[max_total_threads_per_threadgroup(128)]] kernel void NAME(                                             \
        constant ArrayConvolutionParams &params [[buffer(0)]], const device float *source [[buffer(1)]],     \
        const device float *weight [[buffer(2)]], const device float *bias [[buffer(3)]],                    \
        const device float *addend [[buffer(4)]], device float *result [[buffer(5)]],                        \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]], THREAD) {  \
        const uint steps = product_steps(taps_of(params) * params.input.channels);                           \
        ProductTile tile;                                                                                    \
        tile.begin(group, pixels_of(params.output), params.output.channels);                                 \
        OPERANDS operands;                                                                                   \
        operands.begin(tile, thread_index, params);                                                          \
        MULTIPLY(operands, source, weight)                                                                   \
        store_convolved(results, tile, thread_index, bias, addend, result, 5u, params.run, params);          \
    }

/// Compute a pointwise convolution of the results of a depthwise one, which are not stored in device memory.
#define SEPARABLE_PRODUCT(NAME, OPERANDS, THREAD, MULTIPLY)                                                  \
    [[max_total_threads_per_threadgroup(128)]] kernel void NAME(                                             \
        constant ArraySeparableParams &params [[buffer(0)]], const device float *source [[buffer(1)]],       \
        const device float *weight [[buffer(2)]], const device float *bias [[buffer(3)]],                    \
        const device float *addend [[buffer(4)]], const device float *taps [[buffer(5)]],                    \
        const device float *offsets [[buffer(6)]], device float *result [[buffer(7)]],                       \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]], THREAD) {  \
        const uint steps = product_steps(params.source.channels);                                            \
        ProductTile tile;                                                                                    \
        tile.begin(group, pixels_of(params.product.output), params.product.output.channels);                 \
        OPERANDS operands;                                                                                   \
        operands.taps = taps;                                                                                \
        operands.offsets = offsets;                                                                          \
        operands.begin(tile, thread_index, params);                                                          \
        MULTIPLY(operands, source, weight)                                                                   \
        store_convolved(results, tile, thread_index, bias, addend, result, 7u, params.run, params.product);  \
    }

#define DATA_GRADIENT_PRODUCT(NAME, THREAD, MULTIPLY)                                                        \
    [[max_total_threads_per_threadgroup(128)]] kernel void NAME(                                             \
        constant ArrayConvolutionParams &params [[buffer(0)]], const device float *gradient [[buffer(1)]],   \
        const device float *weight [[buffer(2)]], device float *result [[buffer(3)]],                        \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]], THREAD) {  \
        const uint rows = pixels_of(params.input), columns = params.input.channels;                          \
        const uint steps = product_steps(taps_of(params) * params.output.channels);                          \
        ProductTile tile;                                                                                    \
        tile.begin(group, rows, columns);                                                                    \
        DataGradientOperands operands;                                                                       \
        operands.begin(tile, thread_index, params);                                                          \
        MULTIPLY(operands, gradient, weight)                                                                 \
        store_results(results, tile, thread_index, result, 3u, rows, columns, params.run);                   \
    }

/// Compute the gradient of the weights. The pixels of all images are divided into parts, and each group of
/// threads has one of them; `array_sum_parts` adds the parts.
#define WEIGHT_GRADIENT_PRODUCT(NAME, THREAD, MULTIPLY)                                                      \
    [[max_total_threads_per_threadgroup(128)]] kernel void NAME(                                             \
        constant ArrayConvolutionParams &params [[buffer(0)]], const device float *source [[buffer(1)]],     \
        const device float *gradient [[buffer(2)]], device float *result [[buffer(3)]],                      \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]], THREAD) {  \
        const uint rows = params.output.channels, columns = taps_of(params) * params.input.channels;         \
        ProductTile tile;                                                                                    \
        tile.begin(group, rows, columns);                                                                    \
        const uint first = tile.part * params.part,                                                          \
                   behind = min(first + params.part, pixels_of(params.output));                              \
        const uint steps = product_steps(behind - first);                                                    \
        WeightGradientOperands operands;                                                                     \
        operands.begin(tile, first, behind, thread_index, params);                                           \
        MULTIPLY(operands, source, gradient)                                                                 \
        store_results(results, tile, thread_index, result + tile.part * params.weights, 3u, rows, columns,   \
                      params.run);                                                                           \
    }
