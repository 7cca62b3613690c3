// Convolutions that MPS does not support: groups whose channels are not multiples of 4, pointwise ones with
// activations that MPS does not apply, and transposed ones with groups or dilation. The kernels also replace
// those of MPS on devices that may not use these.

#include <metal_stdlib>

#include "activation.h"
#include "convolution_params.h"
#include "image_access.h"

using namespace metal;

/// Add one pixel's products to the sums of a slice's four output channels. `weights` has the weights of one
/// tap, [input channel of a group][lane].
template <typename Source, typename Weights>
inline float4 add_tap(float4 sum, Source source, uint2 pixel, SliceOfImage place,
                      constant ConvolutionParams &params, Weights weights) {
    const uint4 groups = channels_of(place.slice) / params.group_outputs;
    const uint first = place.image * params.source.slices;
    // A texel holds four channels. It is fetched again only when a channel of another texel is needed.
    uint held = min(groups[0] * params.group_inputs, params.source.channels - 1) / 4;
    float4 texel = fetch(source, pixel, first + held);
    for (uint input = 0; input < params.group_inputs; ++input) {
        float4 values;
        for (uint lane = 0; lane < 4; ++lane) {
            const uint channel = min(groups[lane] * params.group_inputs + input, params.source.channels - 1);
            if (channel / 4 != held) {
                held = channel / 4;
                texel = fetch(source, pixel, first + held);
            }
            values[lane] = texel[channel % 4];
        }
        sum += values * float4(weights[input]);
    }
    return sum;
}

/// Return the index of a tap's first weight in [slice][kernel height][kernel width][input channel of a
/// group].
inline uint first_weight(uint slice, int row, int column, constant ConvolutionParams &params) {
    const uint height = uint(params.window.kernel_height), width = uint(params.window.kernel_width);
    return ((slice * height + uint(row)) * width + uint(column)) * params.group_inputs;
}

/// Apply the activation and store the result. `terms` are the biases of all slices and then the slopes of a
/// PReLU.
template <typename Destination>
inline void store_convolved(Destination destination, float4 sum, constant ConvolutionParams &params,
                            const device float4 *terms, uint slice, uint3 position) {
    const float4 slopes = slopes_of(terms, 1, slice, params.destination.slices);
    const float4 result = activate(sum, params.activation, slopes);
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination, typename Weights>
inline void convolve(Source source, Destination destination, constant ConvolutionParams &params,
                     Weights weights, const device float4 *terms, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    float4 sum = terms[place.slice];
    for (int i = 0; i < params.window.kernel_height; ++i) {
        const int y = top + i * params.window.dilation_y;
        if (y < 0 || y >= int(params.source.height)) continue;
        for (int j = 0; j < params.window.kernel_width; ++j) {
            const int x = left + j * params.window.dilation_x;
            if (x < 0 || x >= int(params.source.width)) continue;
            sum = add_tap(sum, source, uint2(uint(x), uint(y)), place, params,
                          weights + first_weight(place.slice, i, j, params));
        }
    }
    store_convolved(destination, sum, params, terms, place.slice, position);
}

/// Return the input position that an output of a pointwise convolution reads; -1: padding.
inline int pointwise_source(uint output, int stride, int pad, uint size) {
    const int input = int(output) * stride - pad;
    return input < int(size) ? input : -1;
}

/// A convolution with a window of one tap, whose groups have multiples of 4 channels. A thread computes
/// pointwise_results adjacent pixels, so it reads weights once for all of them. `weights` are [slice][input
/// channel of a group][lane].
template <typename Source, typename Destination, typename Weight>
inline void pointwise(Source source, Destination destination, constant ConvolutionParams &params,
                      const device Weight *weights, const device float4 *terms, uint3 position) {
    const uint3 first = uint3(position.x * pointwise_results, position.y, position.z);
    if (outside(first, params.destination)) return;
    const SliceOfImage place = slice_of_image(first, params.destination);
    const uint slices = (params.group_inputs + 3) / 4, last = params.group_inputs - 1;
    const uint group = 4 * place.slice / params.group_outputs;
    const uint first_slice = place.image * params.source.slices + group * slices;
    const device Weight *own = weights + place.slice * params.group_inputs;
    const int y =
        pointwise_source(first.y, params.window.stride_y, params.window.pad_top, params.source.height);
    float4 sums[pointwise_results];
    for (uint i = 0; i < pointwise_results; ++i) sums[i] = terms[place.slice];
    for (uint slice = 0; slice < slices; ++slice) {
        // The index is clamped, because there are no weights after the last input channel. Lanes without a
        // channel are zero.
        float4 columns[4];
        for (uint lane = 0; lane < 4; ++lane) columns[lane] = float4(own[min(4 * slice + lane, last)]);
        for (uint i = 0; i < pointwise_results; ++i) {
            const int x = pointwise_source(first.x + i, params.window.stride_x, params.window.pad_left,
                                           params.source.width);
            const float4 read = fetch_or_zero(source, x, y, first_slice + slice);
            const float4 values = without_unused_lanes(read, group * slices + slice, params.source);
            for (uint lane = 0; lane < 4; ++lane) sums[i] += values[lane] * columns[lane];
        }
    }
    for (uint i = 0; i < pointwise_results; ++i) {
        const uint3 at = uint3(first.x + i, first.y, first.z);
        if (at.x < params.destination.width)
            store_convolved(destination, sums[i], params, terms, place.slice, at);
    }
}

/// Return the input position that contributes to output position `o` through a tap; -1: none. `pad` is the
/// number of outputs before the one that the first tap of the first input reaches.
inline int transposed_source(int o, int tap, int stride, int dilation, int pad, uint size) {
    const int distance = o + pad - tap * dilation;
    if (distance < 0 || distance % stride != 0 || distance / stride >= int(size)) return -1;
    return distance / stride;
}

template <typename Source, typename Destination, typename Weights>
inline void convolve_transposed(Source source, Destination destination, constant ConvolutionParams &params,
                                Weights weights, const device float4 *terms, uint3 position) {
    if (outside(position, params.destination)) return;
    const SliceOfImage place = slice_of_image(position, params.destination);
    float4 sum = terms[place.slice];
    for (int i = 0; i < params.window.kernel_height; ++i) {
        const int y = transposed_source(int(position.y), i, params.window.stride_y, params.window.dilation_y,
                                        params.window.pad_top, params.source.height);
        if (y < 0) continue;
        for (int j = 0; j < params.window.kernel_width; ++j) {
            const int x =
                transposed_source(int(position.x), j, params.window.stride_x, params.window.dilation_x,
                                  params.window.pad_left, params.source.width);
            if (x < 0) continue;
            sum = add_tap(sum, source, uint2(uint(x), uint(y)), place, params,
                          weights + first_weight(place.slice, i, j, params));
        }
    }
    store_convolved(destination, sum, params, terms, place.slice, position);
}

#define CONVOLUTION_KERNEL(NAME, BODY, WEIGHT, TYPE, SOURCE, DESTINATION)                                    \
    kernel void NAME##_of_##WEIGHT##_##TYPE##_##SOURCE##_##DESTINATION(                                      \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]],                                         \
        constant ConvolutionParams &params [[buffer(0)]], const device WEIGHT##4 * weights [[buffer(1)]],    \
        const device float4 *terms [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(source, destination, params, weights, terms, position);                                         \
    }
#define CONVOLUTIONS(TYPE, SOURCE, DESTINATION)                                                              \
    CONVOLUTION_KERNEL(convolution, convolve, half, TYPE, SOURCE, DESTINATION)                               \
    CONVOLUTION_KERNEL(convolution, convolve, float, TYPE, SOURCE, DESTINATION)                              \
    CONVOLUTION_KERNEL(pointwise, pointwise, TYPE, TYPE, SOURCE, DESTINATION)                                \
    CONVOLUTION_KERNEL(transposed_convolution, convolve_transposed, half, TYPE, SOURCE, DESTINATION)         \
    CONVOLUTION_KERNEL(transposed_convolution, convolve_transposed, float, TYPE, SOURCE, DESTINATION)

FOR_EACH_IMAGE_PAIR(CONVOLUTIONS)
