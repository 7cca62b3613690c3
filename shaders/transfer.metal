// Between arrays in NHWC order without gaps and images in slices of four feature channels.

#include <metal_stdlib>

#include "image_access.h"

using namespace metal;

/// Index of the first feature channel of a slice; an ImageParams of more than 2^32 elements is never made.
inline uint first_element(uint3 position, constant ImageParams &image) {
    const uint number = position.z / image.slices, slice = position.z % image.slices;
    return ((number * image.height + position.y) * image.width + position.x) * image.channels + 4 * slice;
}

inline uint used_lanes(uint3 position, constant ImageParams &image) {
    return min(4u, image.channels - 4 * (position.z % image.slices));
}

template <typename Array, typename Image>
inline void buffer_to_image(Array array, Image image, constant ImageParams &params, uint3 position) {
    if (outside(position, params)) return;
    const uint first = first_element(position, params), lanes = used_lanes(position, params);
    float4 value = float4(0.0f);
    for (uint lane = 0; lane < lanes; ++lane) value[lane] = float(array[first + lane]);
    store(image, value, position.xy, position.z);
}

template <typename Image>
inline void image_to_buffer(Image image, device float *array, constant ImageParams &params, uint3 position) {
    if (outside(position, params)) return;
    const uint first = first_element(position, params), lanes = used_lanes(position, params);
    const float4 value = fetch(image, position.xy, position.z);
    for (uint lane = 0; lane < lanes; ++lane) array[first + lane] = value[lane];
}

template <typename Image>
inline void image_to_buffer(Image image, device half *array, constant ImageParams &params, uint3 position) {
    if (outside(position, params)) return;
    const uint first = first_element(position, params), lanes = used_lanes(position, params);
    const half4 value = half4(fetch(image, position.xy, position.z));
    for (uint lane = 0; lane < lanes; ++lane) array[first + lane] = value[lane];
}

#define TRANSFER(ARRAY, TYPE, TEXTURE)                                                                       \
    kernel void buffer_to_image_##ARRAY##_##TYPE##_##TEXTURE(                                                \
        const device ARRAY *array [[buffer(0)]], constant ImageParams &params [[buffer(1)]],                 \
        TEXTURE<TYPE, access::write> image [[texture(0)]], uint3 position [[thread_position_in_grid]]) {     \
        buffer_to_image(array, image, params, position);                                                     \
    }                                                                                                        \
    kernel void image_to_buffer_##ARRAY##_##TYPE##_##TEXTURE(                                                \
        TEXTURE<TYPE, access::read> image [[texture(0)]], device ARRAY *array [[buffer(0)]],                 \
        constant ImageParams &params [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {            \
        image_to_buffer(image, array, params, position);                                                     \
    }
#define TRANSFER_BOTH(TYPE, TEXTURE)                                                                         \
    TRANSFER(half, TYPE, TEXTURE)                                                                            \
    TRANSFER(float, TYPE, TEXTURE)

FOR_EACH_IMAGE_TYPE(TRANSFER_BOTH)
