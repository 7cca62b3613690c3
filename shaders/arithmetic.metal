// Elementwise operations with one rounding: the activation is applied to the unrounded sum.

#include <metal_stdlib>

#include "activation.h"
#include "arithmetic_params.h"
#include "image_access.h"

using namespace metal;

template <typename Image, typename Destination>
inline void add(Image first, Image second, Destination destination, constant ArithmeticParams &params,
                const device float4 *slopes, uint3 position) {
    if (outside(position, params.image)) return;
    const uint slice = position.z % params.image.slices;
    const float4 sum = fetch(first, position.xy, position.z) + fetch(second, position.xy, position.z);
    const float4 slope = params.activation.kind == activation_prelu ? slopes[slice] : float4(0.0f);
    const float4 result = without_unused_lanes(activate(sum, params.activation, slope), slice, params.image);
    store(destination, result, position.xy, position.z);
}

template <typename Image, typename Destination>
inline void neuron(Image source, Destination destination, constant ArithmeticParams &params,
                   const device float4 *slopes, uint3 position) {
    if (outside(position, params.image)) return;
    const uint slice = position.z % params.image.slices;
    const float4 slope = params.activation.kind == activation_prelu ? slopes[slice] : float4(0.0f);
    const float4 result = activate(fetch(source, position.xy, position.z), params.activation, slope);
    store(destination, without_unused_lanes(result, slice, params.image), position.xy, position.z);
}

#define ARITHMETIC(TYPE, TEXTURE)                                                                            \
    kernel void add_##TYPE##_##TEXTURE##_##TEXTURE(                                                          \
        TEXTURE<TYPE, access::read> first [[texture(0)]], TEXTURE<TYPE, access::read> second [[texture(1)]], \
        TEXTURE<TYPE, access::write> destination [[texture(2)]],                                             \
        constant ArithmeticParams &params [[buffer(0)]], const device float4 *slopes [[buffer(1)]],          \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        add(first, second, destination, params, slopes, position);                                           \
    }                                                                                                        \
    kernel void neuron_##TYPE##_##TEXTURE##_##TEXTURE(                                                       \
        TEXTURE<TYPE, access::read> source [[texture(0)]],                                                   \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        constant ArithmeticParams &params [[buffer(0)]], const device float4 *slopes [[buffer(1)]],          \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        neuron(source, destination, params, slopes, position);                                               \
    }

FOR_EACH_IMAGE_TYPE(ARITHMETIC)
