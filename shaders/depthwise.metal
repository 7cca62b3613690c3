// Depthwise convolution with channel multiplier, bias and activation. One kernel supports windows of any
// size, stride and dilation; another supports 3x3 windows with channel multiplier 1. Both add a window's
// products in the same order.

#include <metal_stdlib>

#include "activation.h"
#include "depthwise_params.h"
#include "image_access.h"

using namespace metal;

/// Return the input channels that the four output channels of `slice` read at one position.
template <typename Source>
inline float4 depthwise_inputs(Source source, uint2 position, uint slice, uint image,
                               constant DepthwiseParams &params) {
    const uint first = image * params.source.slices;
    if (params.multiplier == 1) return fetch(source, position, first + slice);
    float4 inputs = float4(0.0f);
    for (uint lane = 0; lane < 4; ++lane) {
        const uint output = 4 * slice + lane;
        if (output >= params.destination.channels) break;
        const uint channel = output / params.multiplier;
        inputs[lane] = fetch(source, position, first + channel / 4)[channel % 4];
    }
    return inputs;
}

/// Apply the activation and store the result. `terms` are the biases of all slices and then the slopes of a
/// PReLU.
template <typename Destination>
inline void store_depthwise(Destination destination, float4 sum, constant DepthwiseParams &params,
                            const device float4 *terms, uint slice, uint3 position) {
    const float4 slopes = slopes_of(terms, 1, slice, params.destination.slices);
    const float4 result = activate(sum, params.activation, slopes);
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

/// Convolve with any window. `weights` are [slice][kernel height][kernel width].
template <typename Source, typename Destination, typename Weights>
inline void depthwise(Source source, Destination destination, constant DepthwiseParams &params,
                      Weights weights, const device float4 *terms, uint3 position) {
    if (outside(position, params.destination)) return;
    const uint slice = position.z % params.destination.slices, image = position.z / params.destination.slices;
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    float4 sum = terms[slice];
    for (int i = 0; i < params.window.kernel_height; ++i) {
        const int y = top + i * params.window.dilation_y;
        if (y < 0 || y >= int(params.source.height)) continue;
        for (int j = 0; j < params.window.kernel_width; ++j) {
            const int x = left + j * params.window.dilation_x;
            if (x < 0 || x >= int(params.source.width)) continue;
            const uint tap =
                (slice * uint(params.window.kernel_height) + uint(i)) * uint(params.window.kernel_width) +
                uint(j);
            sum += depthwise_inputs(source, uint2(uint(x), uint(y)), slice, image, params) *
                   float4(weights[tap]);
        }
    }
    store_depthwise(destination, sum, params, terms, slice, position);
}

/// Convolve with channel multiplier 1 and a 3x3 window. A thread computes the results of columns x, x +
/// spacing, x + 2 spacing and so on, where spacing * stride = Step * dilation. Their windows are therefore
/// Step taps apart and share columns of the source. Weights and a row of the source stay in registers.
template <uint Step, typename Source, typename Destination, typename Weight>
inline void depthwise_3x3(Source source, Destination destination, constant DepthwiseParams &params,
                          const device Weight *weights, const device float4 *terms, uint3 position) {
    const uint spacing = params.spacing;
    const uint first = position.x / spacing * depthwise_results * spacing + position.x % spacing;
    if (outside(uint3(first, position.y, position.z), params.destination)) return;
    const uint slice = position.z % params.destination.slices;
    const int left = int(first) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    Weight taps[9];
    for (uint tap = 0; tap < 9; ++tap) taps[tap] = weights[9 * slice + tap];
    float4 sums[depthwise_results];
    for (uint i = 0; i < depthwise_results; ++i) sums[i] = terms[slice];
    for (uint row = 0; row < 3; ++row) {
        const int y = top + int(row) * params.window.dilation_y;
        if (y < 0 || y >= int(params.source.height)) continue;
        const uint columns = (depthwise_results - 1) * Step + 3;
        float4 values[columns];
        for (uint column = 0; column < columns; ++column) {
            const int x = left + int(column) * params.window.dilation_x;
            values[column] = fetch_or_zero(source, x < int(params.source.width) ? x : -1, y, position.z);
        }
        for (uint i = 0; i < depthwise_results; ++i)
            for (uint tap = 0; tap < 3; ++tap)
                sums[i] += values[i * Step + tap] * float4(taps[3 * row + tap]);
    }
    for (uint i = 0; i < depthwise_results; ++i) {
        const uint3 at = uint3(first + i * spacing, position.y, position.z);
        if (at.x < params.destination.width) store_depthwise(destination, sums[i], params, terms, slice, at);
    }
}

#define DEPTHWISE_KERNEL(NAME, BODY, TYPE, SOURCE, DESTINATION)                                              \
    kernel void NAME##_##TYPE##_##SOURCE##_##DESTINATION(                                                    \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant DepthwiseParams &params [[buffer(0)]], const device TYPE##4 * weights [[buffer(1)]],        \
        const device float4 *terms [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(source, destination, params, weights, terms, position);                                         \
    }
#define DEPTHWISE(TYPE, SOURCE, DESTINATION) DEPTHWISE_KERNEL(depthwise, depthwise, TYPE, SOURCE, DESTINATION)
#define DEPTHWISE_3X3(TYPE, TEXTURE)                                                                         \
    DEPTHWISE_KERNEL(depthwise_3x3_step1, depthwise_3x3<1>, TYPE, TEXTURE, TEXTURE)                          \
    DEPTHWISE_KERNEL(depthwise_3x3_step2, depthwise_3x3<2>, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_PAIR(DEPTHWISE)
FOR_EACH_IMAGE_TYPE(DEPTHWISE_3X3)
