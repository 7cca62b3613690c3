#pragma once

#include <metal_stdlib>

#include "image_params.h"

using namespace metal;

// One image of at most four feature channels is a texture2d, every other MPSImage a texture2d_array. These
// overloads let one body serve both. Whatever a texture holds is read as float, which half fits into; sums
// are float; a half image takes each result rounded to nearest even here, since what a float write does to a
// half texture is the device's choice.

inline float4 fetch(texture2d<float, access::read> image, uint2 position, uint) {
    return image.read(position);
}
inline float4 fetch(texture2d_array<float, access::read> image, uint2 position, uint slice) {
    return image.read(position, slice);
}

/// Zeros where a position is negative.
template <typename Image> inline float4 fetch_or_zero(Image image, int x, int y, uint slice) {
    return x < 0 || y < 0 ? float4(0.0f) : fetch(image, uint2(uint(x), uint(y)), slice);
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

/// What a thread computes: a slice of four feature channels of one of the images.
struct SliceOfImage {
    uint slice, image;
};

inline SliceOfImage slice_of_image(uint3 position, constant ImageParams &layout) {
    SliceOfImage place;
    place.slice = position.z % layout.slices;
    place.image = position.z / layout.slices;
    return place;
}

/// One feature channel of one image.
template <typename Image>
inline float fetch_channel(Image image, uint2 position, uint number, uint channel,
                           constant ImageParams &layout) {
    return fetch(image, position, number * layout.slices + channel / 4)[channel % 4];
}

/// The feature channels of a slice.
inline uint4 channels_of(uint slice) { return uint4(0u, 1u, 2u, 3u) + uint4(4 * slice); }

/// How many of a slice's lanes have a feature channel.
inline uint used_lanes(uint slice, constant ImageParams &image) {
    return min(4u, image.channels - 4 * slice);
}

/// Zeros where `slice` has no feature channels: MPS asks for finite numbers there.
inline float4 without_unused_lanes(float4 value, uint slice, constant ImageParams &image) {
    return select(float4(0.0f), value, channels_of(slice) < uint4(image.channels));
}

// Every kernel is there for both element types of its destination and for both kinds of texture of each
// image: <operation>_<type>_<source texture>..._<destination texture>.
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
#define FOR_EACH_IMAGE_TRIPLE(KERNEL)                                                                        \
    KERNEL(half, texture2d, texture2d, texture2d)                                                            \
    KERNEL(half, texture2d, texture2d, texture2d_array)                                                      \
    KERNEL(half, texture2d, texture2d_array, texture2d)                                                      \
    KERNEL(half, texture2d, texture2d_array, texture2d_array)                                                \
    KERNEL(half, texture2d_array, texture2d, texture2d)                                                      \
    KERNEL(half, texture2d_array, texture2d, texture2d_array)                                                \
    KERNEL(half, texture2d_array, texture2d_array, texture2d)                                                \
    KERNEL(half, texture2d_array, texture2d_array, texture2d_array)                                          \
    KERNEL(float, texture2d, texture2d, texture2d)                                                           \
    KERNEL(float, texture2d, texture2d, texture2d_array)                                                     \
    KERNEL(float, texture2d, texture2d_array, texture2d)                                                     \
    KERNEL(float, texture2d, texture2d_array, texture2d_array)                                               \
    KERNEL(float, texture2d_array, texture2d, texture2d)                                                     \
    KERNEL(float, texture2d_array, texture2d, texture2d_array)                                               \
    KERNEL(float, texture2d_array, texture2d_array, texture2d)                                               \
    KERNEL(float, texture2d_array, texture2d_array, texture2d_array)

/// A kernel NAME with one source, whose function BODY takes source, destination, params and the position.
#define IMAGE_KERNEL(NAME, BODY, PARAMS, TYPE, SOURCE, DESTINATION)                                          \
    kernel void NAME##_##TYPE##_##SOURCE##_##DESTINATION(                                                    \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]], constant PARAMS &params [[buffer(0)]],  \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        BODY(source, destination, params, position);                                                         \
    }
/// The same with one array more, of what belongs to the feature channels of each slice.
#define IMAGE_KERNEL_WITH_TERMS(NAME, BODY, PARAMS, TYPE, SOURCE, DESTINATION)                               \
    kernel void NAME##_##TYPE##_##SOURCE##_##DESTINATION(                                                    \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]], constant PARAMS &params [[buffer(0)]],  \
        const device float4 *terms [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(source, destination, params, terms, position);                                                  \
    }
/// The same with two sources.
#define IMAGES_KERNEL_WITH_TERMS(NAME, BODY, PARAMS, TYPE, FIRST, SECOND, DESTINATION)                       \
    kernel void NAME##_##TYPE##_##FIRST##_##SECOND##_##DESTINATION(                                          \
        FIRST<float, access::read> first [[texture(0)]], SECOND<float, access::read> second [[texture(1)]],  \
        DESTINATION<TYPE, access::write> destination [[texture(2)]], constant PARAMS &params [[buffer(0)]],  \
        const device float4 *terms [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(first, second, destination, params, terms, position);                                           \
    }
