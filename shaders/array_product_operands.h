#pragma once

// The operands of the matrix products of convolutions and of their gradients. Threads gather parts of them
// from arrays, and copy them to threadgroup memory (array_product_kernels.h).

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

// `Number` is the type of the numbers in threadgroup memory, float or half.

template <typename Number>
inline void put_line(threadgroup Number *tile, float4 values, uint thread_index, uint i) {
    threadgroup Number *to = tile + line_depth(thread_index) * product_pitch + copied_line(thread_index, i);
#pragma unroll
    for (uint lane = 0u; lane < 4u; ++lane) to[lane * product_pitch] = Number(values[lane]);
}

inline void put_depth(threadgroup float *tile, float4 values, uint thread_index, uint i) {
    threadgroup float *to = tile + copied_depth(thread_index, i) * product_pitch + depth_line(thread_index);
    *reinterpret_cast<threadgroup float4 *>(to) = values;
}

// ---- Extents ----

inline uint pixels_of(constant ArrayImage &extents) {
    return extents.images * extents.height * extents.width;
}

inline uint taps_of(constant ArrayConvolutionParams &params) {
    return uint(params.window.kernel_height) * uint(params.window.kernel_width);
}

inline uint product_steps(uint depth) { return (depth + product_depth - 1u) / product_depth; }

// ---- Operands of each product ----

/// The operands of a convolution: patches of the input as rows, and weights as columns.
template <typename Four, typename Number> struct ConvolutionOperands {
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
    void put(threadgroup Number *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_line(both, float4(left[i]), thread_index, i);
            put_line(both + product_depth * product_pitch, float4(right[i]), thread_index, i);
        }
    }
};

/// The operands of a pointwise convolution, where result pixel i reads input pixel i only.
template <typename Four, typename Number> struct PointwiseOperands {
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
    void put(threadgroup Number *both, uint thread_index) {
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            put_line(both, float4(left[i]), thread_index, i);
            put_line(both + product_depth * product_pitch, float4(right[i]), thread_index, i);
        }
    }
};

/// Return four adjacent numbers of an array whose type is known, without a branch.
template <typename Four> inline Four quad_at(const device float *array, uint i) {
    return reinterpret_cast<const device Four *>(array)[i / 4u];
}

inline void put_two(threadgroup float *to, float a, float b) {
    *reinterpret_cast<threadgroup float2 *>(to) = float2(a, b);
}
inline void put_two(threadgroup half *to, float a, float b) {
    to[0] = half(a);
    to[1] = half(b);
}

/// The operands of a pointwise convolution of the results of a depthwise one, whose window is 3x3 with a
/// stride of `Step` columns. A thread computes the depthwise results of four channels of two adjacent pixels,
/// which share columns of the source. So rows of results have an even number of pixels. The source and both
/// weights have the type `Four`.
template <uint Step, typename Four, typename Number> struct SeparableOperands {
    float4 left[2];
    Four right[2];
    const device float *taps, *offsets; ///< weights and bias of the depthwise convolution
    ProductPixel pixel;                 ///< the first of the two pixels
    uint depth, outputs[2];

    void begin(ProductTile tile, uint thread_index, constant ArraySeparableParams &params) {
        depth = line_depth(thread_index);
        pixel.begin(tile.row + first_line(thread_index), params.product.output);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) outputs[i] = tile.column + copied_line(thread_index, i);
    }
    void read(const device float *source, const device float *weight, constant ArraySeparableParams &params) {
        const uint channels = params.source.channels;
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) {
            right[i] = Four(0.0f);
            if (depth < channels && outputs[i] < params.product.output.channels)
                right[i] = quad_at<Four>(weight, outputs[i] * channels + depth);
        }
        left[0] = float4(0.0f);
        if (depth < channels && params.has_offsets != 0) left[0] = load_quad(offsets, depth, params.run, 6u);
        left[1] = left[0];
        if (depth < channels) convolve(source, params);
        depth += product_depth;
    }
    void convolve(const device float *source, constant ArraySeparableParams &params) {
        const uint columns = Step + 3u, channels = params.source.channels;
        const int begin = int(pixel.x * Step) - params.window.pad_left;
#pragma unroll
        for (int row = 0; row < 3; ++row) {
            const int y = int(pixel.y) * params.window.stride_y - params.window.pad_top + row;
            // A tile may reach beyond the last image.
            const bool inside = y >= 0 && y < int(params.source.height) && pixel.image < params.source.images;
            const uint from =
                array_pixel(inside ? pixel.image : 0u, inside ? uint(y) : 0u, 0u, params.source) + depth;
            Four values[columns];
#pragma unroll
            for (uint column = 0u; column < columns; ++column) {
                const int x = begin + int(column);
                values[column] = Four(0.0f);
                if (inside && x >= 0 && x < int(params.source.width))
                    values[column] = quad_at<Four>(source, from + uint(x) * channels);
            }
#pragma unroll
            for (uint tap = 0u; tap < 3u; ++tap) {
                const float4 by = float4(quad_at<Four>(taps, (uint(row) * 3u + tap) * channels + depth));
                left[0] = fma(float4(values[tap]), by, left[0]);
                left[1] = fma(float4(values[Step + tap]), by, left[1]);
            }
        }
#pragma unroll
        for (uint i = 0u; i < 2u; ++i) left[i] = min_or_nan(max_or_nan(left[i], params.low), params.high);
    }
    void put(threadgroup Number *both, uint thread_index) {
        threadgroup Number *to = both + line_depth(thread_index) * product_pitch + first_line(thread_index);
#pragma unroll
        for (uint lane = 0u; lane < 4u; ++lane)
            put_two(to + lane * product_pitch, left[0][lane], left[1][lane]);
#pragma unroll
        for (uint i = 0u; i < 2u; ++i)
            put_line(both + product_depth * product_pitch, float4(right[i]), thread_index, i);
    }
    uint first_line(uint thread_index) { return thread_index / 4u * 2u; }
};

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
