#pragma once

// Matrix products for layers with few pixels. Tiles of 64 x 64 would be fewer than a GPU has cores. So tiles
// have 32 rows and columns here, and each simdgroup of a threadgroup computes the whole tile for a part of
// the depths (the positions in the sums). At the end the sums of the simdgroups are added.
//
// Weights are constants, which are packed when the network is compiled: matrices of 8 depths by 8 outputs, in
// the order [output / 8][depth / 8][depth % 8][output % 8], filled up with zeros to whole tiles and steps. A
// simdgroup reads them from device memory, because no other simdgroup of the threadgroup needs the same ones.
// So threadgroup memory holds the left operand only.

#include <metal_stdlib>

#include "activation.h"
#include "array_product_operands.h"

using namespace metal;

/// Return the number of matrices of weights along the depths.
inline uint packed_eights(uint depths) {
    return (depths + small_depths - 1u) / small_depths * (small_depths / 8u);
}

// A thread copies eight numbers of the left operand in each step, in two quads of four depths. A line is a
// row of the tile.

inline uint small_depth(uint thread_index) { return thread_index % (small_depths / 4u) * 4u; }
inline uint small_line(uint thread_index, uint i) {
    return thread_index / (small_depths / 4u) + i * (small_tile / 2u);
}

template <typename Number>
inline void put_small_line(threadgroup Number *tile, float4 values, uint thread_index, uint i) {
    threadgroup Number *to = tile + small_depth(thread_index) * small_pitch + small_line(thread_index, i);
#pragma unroll
    for (uint lane = 0u; lane < 4u; ++lane) to[lane * small_pitch] = Number(values[lane]);
}

/// The rows of a convolution's product: patches of the input.
template <typename Four, typename Number> struct PatchRows {
    Four values[2];
    ProductPixel pixels[2];
    ProductTap tap;

    void begin(uint first_row, uint thread_index, constant ArrayConvolutionParams &params) {
        tap.begin(small_depth(thread_index), params.input.channels, params.window);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i)
            pixels[i].begin(first_row + small_line(thread_index, i), params.output);
    }
    void read(const device float *source, constant ArrayConvolutionParams &params) {
        InputElements elements;
#pragma unroll
        for (uint i = 0u; i < 2u; ++i)
            values[i] =
                gather_four<Four>(elements, source, 1u, pixels[i], tap, params.input.channels, params);
        tap.advance(small_depths, params.input.channels, params.window);
    }
    void put(threadgroup Number *tile, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) put_small_line(tile, float4(values[i]), thread_index, i);
    }
};

/// The rows of a pointwise convolution's product, where result pixel i reads input pixel i only.
template <typename Four, typename Number> struct PixelRows {
    Four values[2];
    uint depth, rows[2];

    void begin(uint first_row, uint thread_index, constant ArrayConvolutionParams &) {
        depth = small_depth(thread_index);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) rows[i] = first_row + small_line(thread_index, i);
    }
    void read(const device float *source, constant ArrayConvolutionParams &params) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i)
            values[i] = row_four<Four>(source, 1u, rows[i], pixels_of(params.output), depth,
                                       params.input.channels, params.run);
        depth += small_depths;
    }
    void put(threadgroup Number *tile, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) put_small_line(tile, float4(values[i]), thread_index, i);
    }
};

/// Return the sum of the results of four simdgroups, which are in threadgroup memory, one after the other.
inline float4 sum_of_four(const threadgroup float *sums, uint row, uint column) {
    float4 sum = float4(0.0f);
#pragma unroll
    for (uint part = 0u; part < 4u; ++part)
        sum += *reinterpret_cast<const threadgroup float4 *>(sums + (part * small_tile + row) * small_pitch +
                                                             column);
    return sum;
}

/// Store four results: the sums plus the bias and, if there is one, the addend, after the activation.
inline void store_small(float4 sum, uint row, uint column, const device float *bias,
                        const device float *addend, device float *result,
                        constant ArrayConvolutionParams &params) {
    const uint rows = pixels_of(params.output), columns = params.output.channels;
    if (row >= rows || column >= columns) return;
    if (params.has_bias != 0) sum += row_four<float4>(bias, 3u, 0u, 1u, column, columns, params.run);
    if (params.has_addend != 0) sum += row_four<float4>(addend, 4u, row, rows, column, columns, params.run);
    const float4 values = activate(sum, params.activation, float4(0.0f));
    const uint first = row * columns + column;
    if (columns % 4u == 0u) return store_quad(result, values, first, params.run, 5u);
    for (uint lane = 0u; lane < min(4u, columns - column); ++lane)
        store(result, values[lane], first + lane, params.run, 5u);
}

/// Compute a tile of a product. THREAD are the parameters for the thread's place, and SIMDGROUP is the number
/// of its 32 threads in the threadgroup. SUMS are the sums of a thread or a simdgroup, and ROWS the left
/// operand, whose numbers in threadgroup memory are of type NUMBER. Threadgroup memory has two halves: while
/// one is multiplied, the other is filled. At the end it holds the sums of four simdgroups at a time.
#define SMALL_PRODUCT(NAME, ROWS, SUMS, FOUR, NUMBER, THREAD, SIMDGROUP)                                     \
    [[max_total_threads_per_threadgroup(256)]] kernel void NAME(                                             \
        constant ArrayConvolutionParams &params [[buffer(0)]], const device float *source [[buffer(1)]],     \
        const device float *weight [[buffer(2)]], const device float *bias [[buffer(3)]],                    \
        const device float *addend [[buffer(4)]], device float *result [[buffer(5)]],                        \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]], THREAD) {  \
        const uint simdgroup = SIMDGROUP;                                                                    \
        const uint depths = taps_of(params) * params.input.channels;                                         \
        const uint steps = (depths + small_depths - 1u) / small_depths;                                      \
        const uint across = (params.output.channels + small_tile - 1u) / small_tile;                         \
        const uint first_row = group / across * small_tile, first_column = group % across * small_tile;      \
        ROWS<FOUR, NUMBER> rows;                                                                             \
        rows.begin(first_row, thread_index, params);                                                         \
        rows.read(source, params);                                                                           \
        SUMS<FOUR, NUMBER> sums;                                                                             \
        sums.begin(weight, first_column, packed_eights(depths), simdgroup, thread_index, params);            \
        for (uint step = 0u; step < steps; ++step) {                                                         \
            threadgroup NUMBER *left =                                                                       \
                reinterpret_cast<threadgroup NUMBER *>(tiles) + step % 2u * small_depths * small_pitch;      \
            rows.put(left, thread_index);                                                                    \
            threadgroup_barrier(mem_flags::mem_threadgroup);                                                 \
            if (step + 1u < steps) rows.read(source, params);                                                \
            sums.add(left + simdgroup * 8u * small_pitch, step * (small_depths / 8u) + simdgroup, params);   \
            if (step % 8u == 7u) sums.settle();                                                              \
        }                                                                                                    \
        sums.settle();                                                                                       \
        const uint row = thread_index / 8u, column = thread_index % 8u * 4u;                                 \
        float4 results = float4(0.0f);                                                                       \
        for (uint four = 0u; four < small_simdgroups / 4u; ++four) {                                         \
            threadgroup_barrier(mem_flags::mem_threadgroup);                                                 \
            if (simdgroup / 4u == four) sums.put(tiles + simdgroup % 4u * small_tile * small_pitch);         \
            threadgroup_barrier(mem_flags::mem_threadgroup);                                                 \
            results += sum_of_four(tiles, row, column);                                                      \
        }                                                                                                    \
        store_small(results, first_row + row, first_column + column, bias, addend, result, params);          \
    }
