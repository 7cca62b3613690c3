// Convolutions with groups on arrays, and their gradients, with one thread for each result. Convolutions
// without groups are in array_product.metal; these kernels replace those on devices that may not use them.

#include <metal_stdlib>

#include "activation.h"
#include "array_access.h"
#include "array_convolution_params.h"
#include "array_windows.h"

using namespace metal;

inline uint array_weight(uint output, uint row, uint column, constant ArrayConvolutionParams &params) {
    return ((output * uint(params.window.kernel_height) + row) * uint(params.window.kernel_width) + column) *
           params.group_inputs;
}

/// The channels of each tap are summed in separate blocks, which reduces the rounding error of long sums.
kernel void array_convolution(constant ArrayConvolutionParams &params [[buffer(0)]],
                              const device float *source [[buffer(1)]],
                              const device float *weight [[buffer(2)]],
                              const device float *bias [[buffer(3)]], device float *result [[buffer(4)]],
                              uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace at = array_place(i, params.output);
    const int top = int(at.y) * params.window.stride_y - params.window.pad_top,
              left = int(at.x) * params.window.stride_x - params.window.pad_left;
    const uint first = at.channel / params.group_outputs * params.group_inputs;
    float sum = params.has_bias != 0 ? bias[at.channel] : 0.0f;
    for (int row = 0; row < params.window.kernel_height; ++row) {
        const int y = top + row * params.window.dilation_y;
        if (y < 0 || y >= int(params.input.height)) continue;
        for (int column = 0; column < params.window.kernel_width; ++column) {
            const int x = left + column * params.window.dilation_x;
            if (x < 0 || x >= int(params.input.width)) continue;
            const uint from = array_pixel(at.image, uint(y), uint(x), params.input) + first,
                       by = array_weight(at.channel, uint(row), uint(column), params);
            for (uint begin = 0; begin < params.group_inputs; begin += 64u) {
                const uint end = min(begin + 64u, params.group_inputs);
                float block = 0.0f;
                for (uint c = begin; c < end; ++c)
                    block = fma(load(source, from + c, params.run, 1), load(weight, by + c, params.run, 2),
                                block);
                sum += block;
            }
        }
    }
    const float4 activated = activate(float4(sum), params.activation, float4(0.0f));
    store(result, activated[0], i, params.run, 4);
}

/// Compute the gradient of the input: for each element, the sum over the results that it contributes to.
kernel void array_data_gradient(constant ArrayConvolutionParams &params [[buffer(0)]],
                                const device float *gradient [[buffer(1)]],
                                const device float *weight [[buffer(2)]], device float *result [[buffer(3)]],
                                uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace at = array_place(i, params.input);
    const uint first = at.channel / params.group_inputs * params.group_outputs,
               channel = at.channel % params.group_inputs, step = array_weight(1, 0, 0, params);
    float sum = 0.0f;
    for (int row = 0; row < params.window.kernel_height; ++row) {
        const int y = window_of(int(at.y), row, params.window.stride_y, params.window.dilation_y,
                                params.window.pad_top, params.output.height);
        if (y < 0) continue;
        for (int column = 0; column < params.window.kernel_width; ++column) {
            const int x = window_of(int(at.x), column, params.window.stride_x, params.window.dilation_x,
                                    params.window.pad_left, params.output.width);
            if (x < 0) continue;
            const uint from = array_pixel(at.image, uint(y), uint(x), params.output) + first;
            const uint by = array_weight(first, uint(row), uint(column), params) + channel;
            for (uint begin = 0; begin < params.group_outputs; begin += 64u) {
                const uint end = min(begin + 64u, params.group_outputs);
                float block = 0.0f;
                for (uint c = begin; c < end; ++c)
                    block = fma(load(gradient, from + c, params.run, 1), weight[by + c * step], block);
                sum += block;
            }
        }
    }
    store(result, sum, i, params.run, 3);
}

/// Compute the gradient of the weights. The pixels of all images are divided into parts, and each thread has
/// one of them; `array_sum_parts` adds the parts. Adjacent threads have adjacent output channels, which are
/// adjacent in the gradient. If each group has one channel, the channels of adjacent threads are adjacent in
/// the source, too.
kernel void array_weight_gradient(constant ArrayConvolutionParams &params [[buffer(0)]],
                                  const device float *source [[buffer(1)]],
                                  const device float *gradient [[buffer(2)]],
                                  device float *result [[buffer(3)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint part = i / params.weights, begin = part * params.part,
               pixels = params.output.images * params.output.height * params.output.width,
               end = min(begin + params.part, pixels);
    const uint output = i % params.weights % params.output.channels;
    uint rest = i % params.weights / params.output.channels;
    const uint channel = rest % params.group_inputs;
    rest /= params.group_inputs;
    const uint tap_column = rest % uint(params.window.kernel_width),
               tap_row = rest / uint(params.window.kernel_width);
    const int column = int(tap_column) * params.window.dilation_x,
              row = int(tap_row) * params.window.dilation_y;
    const uint input = output / params.group_outputs * params.group_inputs + channel;
    uint x = begin % params.output.width, y = begin / params.output.width % params.output.height,
         image = begin / params.output.width / params.output.height;
    LongSum sum;
    sum.begin();
    for (uint pixel = begin; pixel < end; ++pixel) {
        const int from_y = int(y) * params.window.stride_y - params.window.pad_top + row,
                  from_x = int(x) * params.window.stride_x - params.window.pad_left + column;
        if (from_y >= 0 && from_y < int(params.input.height) && from_x >= 0 &&
            from_x < int(params.input.width)) {
            const uint from = array_pixel(image, uint(from_y), uint(from_x), params.input) + input;
            sum.add(load(source, from, params.run, 1) *
                    load(gradient, pixel * params.output.channels + output, params.run, 2));
        }
        if (++x < params.output.width) continue;
        x = 0u;
        if (++y < params.output.height) continue;
        y = 0u;
        ++image;
    }
    result[part * params.weights + array_weight(output, tap_row, tap_column, params) + channel] =
        sum.result();
}
