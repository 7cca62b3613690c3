// Depthwise convolutions. A thread computes four channels of adjacent columns, so that adjacent threads read
// and write adjacent memory.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_depthwise_params.h"

using namespace metal;

/// Rearrange the weights of a network that is trained.
kernel void array_depthwise_weights(constant ArrayDepthwiseWeightsParams &params [[buffer(0)]],
                                    const device float *weight [[buffer(1)]],
                                    device float *result [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint channel = i % params.channels, tap = i / params.channels,
               from = params.reversed != 0 ? params.taps - 1u - tap : tap;
    result[i] = load(weight, channel * params.taps + from, params.run, 1);
}

/// The place of a thread's results: four channels of array_depthwise_results columns.
struct DepthwisePlace {
    uint image, y, x, channel;

    void begin(uint i, constant ArrayDepthwiseParams &params) {
        const uint quads = params.output.channels / 4u,
                   across = (params.output.width + uint(array_depthwise_results) - 1u) /
                            uint(array_depthwise_results);
        channel = i % quads * 4u;
        i /= quads;
        x = i % across * uint(array_depthwise_results);
        i /= across;
        y = i % params.output.height;
        image = i / params.output.height;
    }
};

inline void store_results(device float *result, thread const float4 *sums, DepthwisePlace at,
                          constant ArrayDepthwiseParams &params) {
    const uint first = array_pixel(at.image, at.y, at.x, params.output) + at.channel;
#pragma unroll
    for (uint i = 0u; i < uint(array_depthwise_results); ++i)
        if (at.x + i < params.output.width)
            store_quad(result, activate(sums[i], params.activation, float4(0.0f)),
                       first + i * params.output.channels, params.run, 4u);
}

/// A depthwise convolution with a window of any size, stride and dilation.
kernel void array_depthwise(constant ArrayDepthwiseParams &params [[buffer(0)]],
                            const device float *source [[buffer(1)]],
                            const device float *weight [[buffer(2)]], const device float *bias [[buffer(3)]],
                            device float *result [[buffer(4)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    DepthwisePlace at;
    at.begin(i, params);
    const float4 first = params.has_bias != 0 ? load_quad(bias, at.channel, params.run, 3u) : float4(0.0f);
    float4 sums[array_depthwise_results] = {first, first, first, first};
    const int left = int(at.x) * params.window.stride_x - params.window.pad_left;
    for (int row = 0; row < params.window.kernel_height; ++row) {
        const int y =
            int(at.y) * params.window.stride_y - params.window.pad_top + row * params.window.dilation_y;
        if (y < 0 || y >= int(params.input.height)) continue;
        const uint from = array_pixel(at.image, uint(y), 0u, params.input) + at.channel;
        for (int column = 0; column < params.window.kernel_width; ++column) {
            const uint tap = uint(row * params.window.kernel_width + column);
            const float4 by = load_quad(weight, tap * params.output.channels + at.channel, params.run, 2u);
#pragma unroll
            for (int k = 0; k < array_depthwise_results; ++k) {
                const int x = left + k * params.window.stride_x + column * params.window.dilation_x;
                if (x >= 0 && x < int(params.input.width))
                    sums[k] = fma(load_quad(source, from + uint(x) * params.input.channels, params.run, 1u),
                                  by, sums[k]);
            }
        }
    }
    store_results(result, sums, at, params);
}

/// Add the products of a window of `Size` rows and columns without dilation whose stride in columns is
/// `Step`. The results of a thread share the columns that it reads. The products are added in the same order
/// as in array_depthwise. `Four` is half4 for a source and weights of halves.
template <uint Size, uint Step, typename Four>
inline void add_windows(thread float4 *sums, const device float *source, const device float *weight,
                        DepthwisePlace at, constant ArrayDepthwiseParams &params) {
    const uint columns = (uint(array_depthwise_results) - 1u) * Step + Size;
    const int left = int(at.x * Step) - params.window.pad_left;
#pragma unroll
    for (int row = 0; row < int(Size); ++row) {
        // Rows outside the image are zeros. A branch around them would make the reads of each row wait for
        // those of the row before it.
        const int y = int(at.y) * params.window.stride_y - params.window.pad_top + row;
        const bool inside = y >= 0 && y < int(params.input.height);
        const uint from = array_pixel(at.image, inside ? uint(y) : 0u, 0u, params.input) + at.channel;
        Four values[columns], taps[Size];
#pragma unroll
        for (uint column = 0u; column < columns; ++column) {
            const int x = left + int(column);
            values[column] = Four(0.0f);
            if (inside && x >= 0 && x < int(params.input.width))
                read_quad(values[column], source, from + uint(x) * params.input.channels, params.run, 1u);
        }
#pragma unroll
        for (uint tap = 0u; tap < Size; ++tap)
            read_quad(taps[tap], weight, (uint(row) * Size + tap) * params.output.channels + at.channel,
                      params.run, 2u);
#pragma unroll
        for (uint tap = 0u; tap < Size; ++tap) {
            const float4 by = float4(taps[tap]);
#pragma unroll
            for (uint k = 0u; k < uint(array_depthwise_results); ++k)
                sums[k] = fma(float4(values[k * Step + tap]), by, sums[k]);
        }
    }
}

#define DEPTHWISE_WINDOW(NAME, SIZE, STEP, FOUR)                                                             \
    kernel void NAME(constant ArrayDepthwiseParams &params [[buffer(0)]],                                    \
                     const device float *source [[buffer(1)]], const device float *weight [[buffer(2)]],     \
                     const device float *bias [[buffer(3)]], device float *result [[buffer(4)]],             \
                     uint i [[thread_position_in_grid]]) {                                                   \
        if (i >= params.run.threads) return;                                                                 \
        DepthwisePlace at;                                                                                   \
        at.begin(i, params);                                                                                 \
        const float4 first =                                                                                 \
            params.has_bias != 0 ? load_quad(bias, at.channel, params.run, 3u) : float4(0.0f);               \
        float4 sums[array_depthwise_results] = {first, first, first, first};                                 \
        add_windows<SIZE, STEP, FOUR>(sums, source, weight, at, params);                                     \
        store_results(result, sums, at, params);                                                             \
    }

DEPTHWISE_WINDOW(array_depthwise_3x3_step1, 3u, 1u, float4)
DEPTHWISE_WINDOW(array_depthwise_3x3_step2, 3u, 2u, float4)
DEPTHWISE_WINDOW(array_depthwise_3x3_step1_of_halves, 3u, 1u, half4)
DEPTHWISE_WINDOW(array_depthwise_3x3_step2_of_halves, 3u, 2u, half4)
DEPTHWISE_WINDOW(array_depthwise_5x5_step1, 5u, 1u, float4)
DEPTHWISE_WINDOW(array_depthwise_5x5_step2, 5u, 2u, float4)
DEPTHWISE_WINDOW(array_depthwise_5x5_step1_of_halves, 5u, 1u, half4)
DEPTHWISE_WINDOW(array_depthwise_5x5_step2_of_halves, 5u, 2u, half4)
