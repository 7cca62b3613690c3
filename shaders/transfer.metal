// Copies between arrays in NHWC order and images in slices of four feature channels.

#include <metal_stdlib>

#include "image_access.h"
#include "transfer_params.h"

using namespace metal;

/// Return the index in the array of a slice's first feature channel. The host refuses arrays whose indices
/// exceed 32 bits.
inline uint first_element(uint3 position, constant TransferParams &params) {
    const SliceOfImage place = slice_of_image(position, params.image);
    return params.first + place.image * params.image_pitch + position.y * params.row_pitch +
           position.x * params.column_pitch + 4 * place.slice;
}

inline float4 four_at(const device float *array, uint first) {
    return reinterpret_cast<const device float4 *>(array)[first / 4];
}
inline float4 four_at(const device half *array, uint first) {
    return float4(reinterpret_cast<const device half4 *>(array)[first / 4]);
}
inline void set_four(device float *array, uint first, float4 value) {
    reinterpret_cast<device float4 *>(array)[first / 4] = value;
}
inline void set_four(device half *array, uint first, float4 value) {
    reinterpret_cast<device half4 *>(array)[first / 4] = half4(value);
}
inline void set_one(device float *array, uint i, float value) { array[i] = value; }
inline void set_one(device half *array, uint i, float value) { array[i] = half(value); }

template <typename Array, typename Image>
inline void buffer_to_image(Array array, Image image, constant TransferParams &params, uint3 position) {
    if (outside(position, params.image)) return;
    const uint first = first_element(position, params),
               lanes = used_lanes(position.z % params.image.slices, params.image);
    float4 value = float4(0.0f);
    if (params.by_four != 0 && lanes == 4)
        value = four_at(array, first);
    else
        for (uint lane = 0; lane < lanes; ++lane) value[lane] = float(array[first + lane]);
    store(image, value, position.xy, position.z);
}

template <typename Array, typename Image>
inline void image_to_buffer(Image image, Array array, constant TransferParams &params, uint3 position) {
    if (outside(position, params.image)) return;
    const uint first = first_element(position, params),
               lanes = used_lanes(position.z % params.image.slices, params.image);
    const float4 value = fetch(image, position.xy, position.z);
    if (params.by_four != 0 && lanes == 4)
        set_four(array, first, value);
    else
        for (uint lane = 0; lane < lanes; ++lane) set_one(array, first + lane, value[lane]);
}

#define READ_ARRAY(ARRAY, TYPE, TEXTURE)                                                                     \
    kernel void buffer_to_image_##ARRAY##_##TYPE##_##TEXTURE(                                                \
        const device ARRAY *array [[buffer(0)]], constant TransferParams &params [[buffer(1)]],              \
        TEXTURE<TYPE, access::write> image [[texture(0)]], uint3 position [[thread_position_in_grid]]) {     \
        buffer_to_image(array, image, params, position);                                                     \
    }
#define READ_EITHER_ARRAY(TYPE, TEXTURE)                                                                     \
    READ_ARRAY(half, TYPE, TEXTURE)                                                                          \
    READ_ARRAY(float, TYPE, TEXTURE)
#define WRITE_ARRAY(ARRAY, TEXTURE)                                                                          \
    kernel void image_to_buffer_##ARRAY##_##TEXTURE(                                                         \
        TEXTURE<float, access::read> image [[texture(0)]], device ARRAY *array [[buffer(0)]],                \
        constant TransferParams &params [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {         \
        image_to_buffer(image, array, params, position);                                                     \
    }

FOR_EACH_IMAGE_TYPE(READ_EITHER_ARRAY)
FOR_EACH_IMAGE_TYPE(WRITE_ARRAY)
