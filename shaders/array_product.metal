// Convolutions without groups on arrays, and their gradients, as tiled matrix products (implicit GEMM). The
// matrix of patches is not stored in memory: threads gather its elements from the images.
//
// A threadgroup computes a tile of the product. In each step it copies product_depth columns of the left
// operand's rows, and product_depth rows of the right operand's columns, to threadgroup memory. While it
// multiplies these, it reads those of the next step to registers. A thread computes eight rows of four
// columns. It adds products in blocks of 64, which reduces the rounding error of long sums.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_convolution_params.h"
#include "array_windows.h"

using namespace metal;

/// The index that marks an element outside an array.
constant uint no_element = 0xFFFFFFFFu;

// ---- Operands ----

/// A tap of the window and a channel: one of the positions over which a result sums.
struct ProductTap {
    uint row, column, channel;

    void begin(uint number, uint channels, constant WindowParams &window) {
        channel = number % channels;
        column = number / channels % uint(window.kernel_width);
        row = number / channels / uint(window.kernel_width);
    }
    void advance(uint by, uint channels, constant WindowParams &window) {
        channel += by;
        while (channel >= channels) {
            channel -= channels;
            if (++column < uint(window.kernel_width)) continue;
            column = 0u;
            ++row;
        }
    }
};

/// A pixel, numbered over all images. It may lie after the last one.
struct ProductPixel {
    uint image, y, x;

    void begin(uint number, constant ArrayImage &extents) {
        x = number % extents.width;
        y = number / extents.width % extents.height;
        image = number / extents.width / extents.height;
    }
    void advance(uint by, constant ArrayImage &extents) {
        x += by;
        while (x >= extents.width) {
            x -= extents.width;
            if (++y < extents.height) continue;
            y = 0u;
            ++image;
        }
    }
};

/// Maps a result's pixel and a tap to the element of the input that the result reads there.
struct InputElements {
    uint at(ProductPixel result, ProductTap tap, constant ArrayConvolutionParams &params) {
        if (tap.row >= uint(params.window.kernel_height) || result.image >= params.input.images)
            return no_element;
        const int y = int(result.y) * params.window.stride_y - params.window.pad_top +
                      int(tap.row) * params.window.dilation_y,
                  x = int(result.x) * params.window.stride_x - params.window.pad_left +
                      int(tap.column) * params.window.dilation_x;
        if (y < 0 || y >= int(params.input.height) || x < 0 || x >= int(params.input.width))
            return no_element;
        return array_pixel(result.image, uint(y), uint(x), params.input) + tap.channel;
    }
};

/// Maps an input's pixel and a tap to the element of the result to which the pixel contributes by this tap.
struct ResultElements {
    uint at(ProductPixel input, ProductTap tap, constant ArrayConvolutionParams &params) {
        if (tap.row >= uint(params.window.kernel_height) || input.image >= params.output.images)
            return no_element;
        const int y = window_of(int(input.y), int(tap.row), params.window.stride_y, params.window.dilation_y,
                                params.window.pad_top, params.output.height),
                  x = window_of(int(input.x), int(tap.column), params.window.stride_x,
                                params.window.dilation_x, params.window.pad_left, params.output.width);
        if (y < 0 || x < 0) return no_element;
        return array_pixel(input.image, uint(y), uint(x), params.output) + tap.channel;
    }
};

// Numbers that a thread has read keep their type, `Four`, until they are written to threadgroup memory. A
// conversion right after the load would wait for the load.

/// Return the four elements of a pixel at a tap and the next three positions. Elements outside the array are
/// zeros.
template <typename Four, typename Elements>
inline Four gather_four(Elements elements, const device float *array, uint number, ProductPixel pixel,
                        ProductTap tap, uint channels, constant ArrayConvolutionParams &params) {
    if (channels % 4u == 0u) {
        const uint i = elements.at(pixel, tap, params);
        Four quad = Four(0.0f);
        if (i != no_element) read_quad(quad, array, i, params.run, number);
        return quad;
    }
    float4 values = float4(0.0f);
#pragma unroll
    for (uint lane = 0u; lane < 4u; ++lane) {
        const uint i = elements.at(pixel, tap, params);
        if (i != no_element) values[lane] = load(array, i, params.run, number);
        tap.advance(1u, channels, params.window);
    }
    Four quad;
    hold(quad, values);
    return quad;
}

/// Return four elements of a matrix row. Elements outside the matrix are zeros.
template <typename Four>
inline Four row_four(const device float *matrix, uint number, uint row, uint rows, uint column, uint columns,
                     constant ArrayRun &run) {
    Four quad = Four(0.0f);
    if (row >= rows || column >= columns) return quad;
    const uint first = row * columns + column;
    if (columns % 4u == 0u) {
        read_quad(quad, matrix, first, run, number);
        return quad;
    }
    float4 values = float4(0.0f);
    for (uint lane = 0u; lane < min(4u, columns - column); ++lane)
        values[lane] = load(matrix, first + lane, run, number);
    hold(quad, values);
    return quad;
}

// ---- Places of threads ----

/// The tile of the result that a threadgroup computes: its first row and column, and the part of the sums.
struct ProductTile {
    uint row, column, part;

    void begin(uint group, uint rows, uint columns) {
        const uint across = (columns + product_tile - 1u) / product_tile,
                   down = (rows + product_tile - 1u) / product_tile;
        column = group % across * product_tile;
        row = group / across % down * product_tile;
        part = group / across / down;
    }
};

// A thread copies eight numbers of each operand, in two quads. A line is a row of the left operand or a
// column of the right one, and a depth is a position in the sums. A quad is either four depths of one line,
// or four lines of one depth, whichever is contiguous in memory.

/// Return the first depth of a quad along a line. copied_line is the line of the thread's quad i.
inline uint line_depth(uint thread_index) { return thread_index % 4u * 4u; }
inline uint copied_line(uint thread_index, uint i) { return thread_index / 4u + i * product_threads / 4u; }

/// Return the first line of a quad along a depth. copied_depth is the depth of the thread's quad i.
inline uint depth_line(uint thread_index) { return thread_index % 16u * 4u; }
inline uint copied_depth(uint thread_index, uint i) { return thread_index / 16u + i * product_threads / 16u; }

inline void put_line(threadgroup float *tile, float4 values, uint thread_index, uint i) {
    threadgroup float *to = tile + line_depth(thread_index) * product_pitch + copied_line(thread_index, i);
#pragma unroll
    for (uint lane = 0u; lane < 4u; ++lane) to[lane * product_pitch] = values[lane];
}

inline void put_depth(threadgroup float *tile, float4 values, uint thread_index, uint i) {
    threadgroup float *to = tile + copied_depth(thread_index, i) * product_pitch + depth_line(thread_index);
    *reinterpret_cast<threadgroup float4 *>(to) = values;
}

/// Return the row in the tile of a thread's result i. Rows 4 to 7 are half a tile below rows 0 to 3.
inline uint result_row(uint thread_index, uint i) {
    return thread_index / 16u * 4u + i / 4u * (product_tile / 2u) + i % 4u;
}
inline uint result_column(uint thread_index) { return thread_index % 16u * 4u; }

/// The results of a thread, eight rows of four columns.
struct ProductSums {
    float4 totals[8], block[8];

    void begin() {
#pragma unroll
        for (uint i = 0u; i < 8u; ++i) totals[i] = block[i] = float4(0.0f);
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
            totals[i] += block[i];
            block[i] = float4(0.0f);
        }
    }
};

/// Store four results in a row of a matrix, leaving out those outside the matrix.
inline void store_four(device float *matrix, float4 values, uint number, uint row, uint rows, uint column,
                       uint columns, constant ArrayRun &run) {
    if (row >= rows || column >= columns) return;
    const uint first = row * columns + column;
    if (columns % 4u == 0u) return store_quad(matrix, values, first, run, number);
    for (uint lane = 0u; lane < min(4u, columns - column); ++lane)
        store(matrix, values[lane], first + lane, run, number);
}

// ---- Kernels ----

/// Multiply both operands and add the products to `sums`, in `steps` steps of product_depth. Threadgroup
/// memory has two halves. While one is multiplied, the other is filled, so each step needs only one barrier
/// (double buffering).
#define MULTIPLY(OPERANDS, LEFT, RIGHT)                                                                      \
    sums.begin();                                                                                            \
    OPERANDS.read(LEFT, RIGHT, params);                                                                      \
    for (uint step = 0u; step < steps; ++step) {                                                             \
        threadgroup float *both = tiles + step % 2u * product_floats;                                        \
        OPERANDS.put(both, thread_index);                                                                    \
        threadgroup_barrier(mem_flags::mem_threadgroup);                                                     \
        if (step + 1u < steps) OPERANDS.read(LEFT, RIGHT, params);                                           \
        sums.add(both, thread_index);                                                                        \
        if (step % 4u == 3u) sums.settle();                                                                  \
    }                                                                                                        \
    sums.settle();

inline uint pixels_of(constant ArrayImage &extents) {
    return extents.images * extents.height * extents.width;
}

inline uint taps_of(constant ArrayConvolutionParams &params) {
    return uint(params.window.kernel_height) * uint(params.window.kernel_width);
}

inline uint product_steps(uint depth) { return (depth + product_depth - 1u) / product_depth; }

/// The operands of a convolution: patches of the input as rows, and weights as columns.
template <typename Four> struct ConvolutionOperands {
    Four left[2], right[2];
    ProductPixel pixels[2];
    ProductTap tap;
    uint depth, outputs[2];

    void begin(ProductTile tile, uint thread_index, constant ArrayConvolutionParams &params) {
        depth = line_depth(thread_index);
        tap.begin(depth, params.input.channels, params.window);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            pixels[i].begin(tile.row + copied_line(thread_index, i), params.output);
            outputs[i] = tile.column + copied_line(thread_index, i);
        }
    }
    void read(const device float *source, const device float *weight,
              constant ArrayConvolutionParams &params) {
        InputElements elements;
        const uint channels = params.input.channels;
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            left[i] = gather_four<Four>(elements, source, 1u, pixels[i], tap, channels, params);
            right[i] = row_four<Four>(weight, 2u, outputs[i], params.output.channels, depth,
                                      taps_of(params) * channels, params.run);
        }
        depth += product_depth;
        tap.advance(product_depth, channels, params.window);
    }
    void put(threadgroup float *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_line(both, float4(left[i]), thread_index, i);
            put_line(both + product_depth * product_pitch, float4(right[i]), thread_index, i);
        }
    }
};

/// The operands of a pointwise convolution, where result pixel i reads input pixel i only.
template <typename Four> struct PointwiseOperands {
    Four left[2], right[2];
    uint depth, rows[2], outputs[2];

    void begin(ProductTile tile, uint thread_index, constant ArrayConvolutionParams &) {
        depth = line_depth(thread_index);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            rows[i] = tile.row + copied_line(thread_index, i);
            outputs[i] = tile.column + copied_line(thread_index, i);
        }
    }
    void read(const device float *source, const device float *weight,
              constant ArrayConvolutionParams &params) {
        const uint channels = params.input.channels;
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            left[i] =
                row_four<Four>(source, 1u, rows[i], pixels_of(params.output), depth, channels, params.run);
            right[i] =
                row_four<Four>(weight, 2u, outputs[i], params.output.channels, depth, channels, params.run);
        }
        depth += product_depth;
    }
    void put(threadgroup float *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_line(both, float4(left[i]), thread_index, i);
            put_line(both + product_depth * product_pitch, float4(right[i]), thread_index, i);
        }
    }
};

/// Store the results of a thread: its sums plus the bias and, if there is one, the addend, after the
/// activation.
inline void store_convolved(ProductSums sums, ProductTile tile, uint thread_index, const device float *bias,
                            const device float *addend, device float *result,
                            constant ArrayConvolutionParams &params) {
    const uint rows = pixels_of(params.output), columns = params.output.channels,
               column = tile.column + result_column(thread_index);
    float4 biases = float4(0.0f);
    if (params.has_bias != 0) biases = row_four<float4>(bias, 3u, 0u, 1u, column, columns, params.run);
#pragma unroll
    for (uint i = 0u; i < 8u; ++i) {
        const uint row = tile.row + result_row(thread_index, i);
        float4 sum = sums.totals[i] + biases;
        if (params.has_addend != 0)
            sum += row_four<float4>(addend, 4u, row, rows, column, columns, params.run);
        store_four(result, activate(sum, params.activation, float4(0.0f)), 5u, row, rows, column, columns,
                   params.run);
    }
}

#define CONVOLUTION_PRODUCT(NAME, OPERANDS)                                                                  \
    [[max_total_threads_per_threadgroup(128)]] kernel void NAME(                                             \
        constant ArrayConvolutionParams &params [[buffer(0)]], const device float *source [[buffer(1)]],     \
        const device float *weight [[buffer(2)]], const device float *bias [[buffer(3)]],                    \
        const device float *addend [[buffer(4)]], device float *result [[buffer(5)]],                        \
        threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],            \
        uint thread_index [[thread_index_in_threadgroup]]) {                                                 \
        const uint steps = product_steps(taps_of(params) * params.input.channels);                           \
        ProductTile tile;                                                                                    \
        tile.begin(group, pixels_of(params.output), params.output.channels);                                 \
        OPERANDS operands;                                                                                   \
        operands.begin(tile, thread_index, params);                                                          \
        ProductSums sums;                                                                                    \
        MULTIPLY(operands, source, weight)                                                                   \
        store_convolved(sums, tile, thread_index, bias, addend, result, params);                             \
    }

CONVOLUTION_PRODUCT(array_product, ConvolutionOperands<float4>)
CONVOLUTION_PRODUCT(array_pointwise_product, PointwiseOperands<float4>)
// The variants for a source and weights of halves.
CONVOLUTION_PRODUCT(array_product_of_halves, ConvolutionOperands<half4>)
CONVOLUTION_PRODUCT(array_pointwise_product_of_halves, PointwiseOperands<half4>)

/// The operands of the gradient of the input: gradients of the results to which a pixel contributes, and
/// weights.
struct DataGradientOperands {
    float4 left[2], right[2];
    ProductPixel pixels[2];
    ProductTap tap, weights[2];
    uint input;

    void begin(ProductTile tile, uint thread_index, constant ArrayConvolutionParams &params) {
        input = tile.column + depth_line(thread_index);
        tap.begin(line_depth(thread_index), params.output.channels, params.window);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            pixels[i].begin(tile.row + copied_line(thread_index, i), params.input);
            weights[i].begin(copied_depth(thread_index, i), params.output.channels, params.window);
        }
    }
    void read(const device float *gradient, const device float *weight,
              constant ArrayConvolutionParams &params) {
        ResultElements elements;
        const uint outputs = params.output.channels, taps = taps_of(params);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            left[i] = gather_four<float4>(elements, gradient, 1u, pixels[i], tap, outputs, params);
            const uint number = weights[i].row * uint(params.window.kernel_width) + weights[i].column;
            // After the last tap there are no weights.
            const uint row = number < taps ? weights[i].channel * taps + number : no_element;
            right[i] =
                row_four<float4>(weight, 2u, row, outputs * taps, input, params.input.channels, params.run);
            weights[i].advance(product_depth, outputs, params.window);
        }
        tap.advance(product_depth, outputs, params.window);
    }
    void put(threadgroup float *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_line(both, left[i], thread_index, i);
            put_depth(both + product_depth * product_pitch, right[i], thread_index, i);
        }
    }
};

[[max_total_threads_per_threadgroup(128)]] kernel void array_data_gradient_product(
    constant ArrayConvolutionParams &params [[buffer(0)]], const device float *gradient [[buffer(1)]],
    const device float *weight [[buffer(2)]], device float *result [[buffer(3)]],
    threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]]) {
    const uint rows = pixels_of(params.input), columns = params.input.channels;
    const uint steps = product_steps(taps_of(params) * params.output.channels);
    ProductTile tile;
    tile.begin(group, rows, columns);
    DataGradientOperands operands;
    operands.begin(tile, thread_index, params);
    ProductSums sums;
    MULTIPLY(operands, gradient, weight)
#pragma unroll
    for (uint i = 0u; i < 8u; ++i)
        store_four(result, sums.totals[i], 3u, tile.row + result_row(thread_index, i), rows,
                   tile.column + result_column(thread_index), columns, params.run);
}

/// The operands of the gradient of the weights: gradients of results, and patches of the input.
struct WeightGradientOperands {
    float4 left[2], right[2];
    ProductPixel pixels[2];
    ProductTap tap;
    uint numbers[2], end, output;

    void begin(ProductTile tile, uint first, uint behind, uint thread_index,
               constant ArrayConvolutionParams &params) {
        end = behind;
        output = tile.row + depth_line(thread_index);
        tap.begin(tile.column + depth_line(thread_index), params.input.channels, params.window);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            numbers[i] = first + copied_depth(thread_index, i);
            pixels[i].begin(numbers[i], params.output);
        }
    }
    void read(const device float *source, const device float *gradient,
              constant ArrayConvolutionParams &params) {
        InputElements elements;
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            left[i] =
                row_four<float4>(gradient, 2u, numbers[i], end, output, params.output.channels, params.run);
            right[i] = numbers[i] < end ? gather_four<float4>(elements, source, 1u, pixels[i], tap,
                                                              params.input.channels, params)
                                        : float4(0.0f);
            numbers[i] += product_depth;
            pixels[i].advance(product_depth, params.output);
        }
    }
    void put(threadgroup float *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_depth(both, left[i], thread_index, i);
            put_depth(both + product_depth * product_pitch, right[i], thread_index, i);
        }
    }
};

/// Compute the gradient of the weights. The pixels of all images are divided into parts, and each group of
/// threads has one of them; `array_sum_parts` adds the parts.
[[max_total_threads_per_threadgroup(128)]] kernel void array_weight_gradient_product(
    constant ArrayConvolutionParams &params [[buffer(0)]], const device float *source [[buffer(1)]],
    const device float *gradient [[buffer(2)]], device float *result [[buffer(3)]],
    threadgroup float *tiles [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],
    uint thread_index [[thread_index_in_threadgroup]]) {
    const uint rows = params.output.channels, columns = taps_of(params) * params.input.channels;
    ProductTile tile;
    tile.begin(group, rows, columns);
    const uint first = tile.part * params.part, behind = min(first + params.part, pixels_of(params.output));
    const uint steps = product_steps(behind - first);
    WeightGradientOperands operands;
    operands.begin(tile, first, behind, thread_index, params);
    ProductSums sums;
    MULTIPLY(operands, source, gradient)
#pragma unroll
    for (uint i = 0u; i < 8u; ++i)
        store_four(result + tile.part * params.weights, sums.totals[i], 3u,
                   tile.row + result_row(thread_index, i), rows, tile.column + result_column(thread_index),
                   columns, params.run);
}
