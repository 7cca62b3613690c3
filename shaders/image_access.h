#pragma once

#include <metal_stdlib>

#include "image_params.h"

using namespace metal;

// One image of at most four feature channels is a texture2d, every other MPSImage a texture2d_array. These
// overloads let one body serve both, in half and in float. Sums are float; a half image takes each result
// rounded to nearest even here, since what a float write does to a half texture is the device's choice.

inline float4 fetch(texture2d<half, access::read> image, uint2 position, uint) {
    return float4(image.read(position));
}
inline float4 fetch(texture2d<float, access::read> image, uint2 position, uint) {
    return image.read(position);
}
inline float4 fetch(texture2d_array<half, access::read> image, uint2 position, uint slice) {
    return float4(image.read(position, slice));
}
inline float4 fetch(texture2d_array<float, access::read> image, uint2 position, uint slice) {
    return image.read(position, slice);
}

inline void store(texture2d<half, access::write> image, float4 value, uint2 position, uint) {
    image.write(half4(value), position);
}
inline void store(texture2d<float, access::write> image, float4 value, uint2 position, uint) {
    image.write(value, position);
}
inline void store(texture2d_array<half, access::write> image, float4 value, uint2 position, uint slice) {
    image.write(half4(value), position, slice);
}
inline void store(texture2d_array<float, access::write> image, float4 value, uint2 position, uint slice) {
    image.write(value, position, slice);
}

/// The grid is rounded up to whole threadgroups.
inline bool outside(uint3 position, constant ImageParams &image) {
    return position.x >= image.width || position.y >= image.height ||
           position.z >= image.slices * image.images;
}

/// Zeros where `slice` has no feature channels: MPS asks for finite numbers there.
inline float4 without_unused_lanes(float4 value, uint slice, constant ImageParams &image) {
    const uint4 channel = uint4(0u, 1u, 2u, 3u) + uint4(4 * slice);
    return select(float4(0.0f), value, channel < uint4(image.channels));
}

// Every kernel is there for both element types and for both kinds of texture:
// <operation>_<type>_<source texture>_<destination texture>.
#define FOR_EACH_IMAGE_TYPE(KERNEL)                                                                          \
    KERNEL(half, texture2d)                                                                                  \
    KERNEL(half, texture2d_array)                                                                            \
    KERNEL(float, texture2d)                                                                                 \
    KERNEL(float, texture2d_array)
#define FOR_EACH_IMAGE_PAIR(KERNEL)                                                                          \
    KERNEL(half, texture2d, texture2d)                                                                       \
    KERNEL(half, texture2d, texture2d_array)                                                                 \
    KERNEL(half, texture2d_array, texture2d)                                                                 \
    KERNEL(half, texture2d_array, texture2d_array)                                                           \
    KERNEL(float, texture2d, texture2d)                                                                      \
    KERNEL(float, texture2d, texture2d_array)                                                                \
    KERNEL(float, texture2d_array, texture2d)                                                                \
    KERNEL(float, texture2d_array, texture2d_array)
