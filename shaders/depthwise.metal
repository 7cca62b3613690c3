// Depthwise convolution with channel multiplier, bias and activation: windows of any size, stride and
// dilation.

#include <metal_stdlib>

#include "activation.h"
#include "depthwise_params.h"
#include "image_access.h"

using namespace metal;

/// The input channels that the four output channels of `slice` read, at one position.
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

/// `weights` are [slice][kernel height][kernel width], `terms` the biases of all slices and behind them the
/// slopes of a PReLU.
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
    sum = activate(sum, params.activation, slopes_of(terms, 1, slice, params.destination.slices));
    store(destination, without_unused_lanes(sum, slice, params.destination), position.xy, position.z);
}

#define DEPTHWISE(TYPE, SOURCE, DESTINATION)                                                                 \
    kernel void depthwise_##TYPE##_##SOURCE##_##DESTINATION(                                                 \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant DepthwiseParams &params [[buffer(0)]], const device TYPE##4 * weights [[buffer(1)]],        \
        const device float4 *terms [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {              \
        depthwise(source, destination, params, weights, terms, position);                                    \
    }

FOR_EACH_IMAGE_PAIR(DEPTHWISE)
