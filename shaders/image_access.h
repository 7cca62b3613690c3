#pragma once

#include <metal_stdlib>

#include "image_params.h"

using namespace metal;

// An MPSImage of one image with at most four feature channels is a texture2d, and every other one is a
// texture2d_array. These overloads let one function body serve both. Texels are read as floats, which
// represent halves exactly, and sums are floats. Results for half images are rounded to nearest even here,
// because the rounding of a float that is written to a half texture depends on the device.

inline float4 fetch(texture2d<float, access::read> image, uint2 position, uint) {
    return image.read(position);
}
inline float4 fetch(texture2d_array<float, access::read> image, uint2 position, uint slice) {
    return image.read(position, slice);
}

/// Return a texel, or zeros if x or y is negative.
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

/// True for a thread outside the image, which has no work. Such threads exist because the grid is rounded up
/// to whole threadgroups.
inline bool outside(uint3 position, constant ImageParams &image) {
    return position.x >= image.width || position.y >= image.height ||
           position.z >= image.slices * image.images;
}

/// A thread's part of the work: a slice (four feature channels) of one of the images.
struct SliceOfImage {
    uint slice, image;
};

inline SliceOfImage slice_of_image(uint3 position, constant ImageParams &layout) {
    SliceOfImage place;
    place.slice = position.z % layout.slices;
    place.image = position.z / layout.slices;
    return place;
}

/// Return one feature channel of one image.
template <typename Image>
inline float fetch_channel(Image image, uint2 position, uint number, uint channel,
                           constant ImageParams &layout) {
    return fetch(image, position, number * layout.slices + channel / 4)[channel % 4];
}

/// Return the feature channels of a slice.
inline uint4 channels_of(uint slice) { return uint4(0u, 1u, 2u, 3u) + uint4(4 * slice); }

/// Return the number of a slice's lanes that hold a feature channel.
inline uint used_lanes(uint slice, constant ImageParams &image) {
    return min(4u, image.channels - 4 * slice);
}

/// Set lanes without a feature channel to zero, because MPS requires finite numbers there.
inline float4 without_unused_lanes(float4 value, uint slice, constant ImageParams &image) {
    return select(float4(0.0f), value, channels_of(slice) < uint4(image.channels));
}

// Instantiate a kernel for both element types of its destination and for both texture types of each image.
// Names are <operation>_<type>_<source texture>..._<destination texture>.
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

/// Define the kernel NAME with one source. Its function BODY takes source, destination, params and the
/// position.
#define IMAGE_KERNEL(NAME, BODY, PARAMS, TYPE, SOURCE, DESTINATION)                                          \
    kernel void NAME##_##TYPE##_##SOURCE##_##DESTINATION(                                                    \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]], constant PARAMS &params [[buffer(0)]],  \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        BODY(source, destination, params, position);                                                         \
    }
/// Define a kernel with one source and an array of values for the feature channels of each slice.
#define IMAGE_KERNEL_WITH_TERMS(NAME, BODY, PARAMS, TYPE, SOURCE, DESTINATION)                               \
    kernel void NAME##_##TYPE##_##SOURCE##_##DESTINATION(                                                    \
        SOURCE<float, access::read> source [[texture(0)]],                                                   \
        DESTINATION<TYPE, access::write> destination [[texture(1)]], constant PARAMS &params [[buffer(0)]],  \
        const device float4 *terms [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(source, destination, params, terms, position);                                                  \
    }
/// Define a kernel with two sources and an array of values for the feature channels of each slice.
#define IMAGES_KERNEL_WITH_TERMS(NAME, BODY, PARAMS, TYPE, FIRST, SECOND, DESTINATION)                       \
    kernel void NAME##_##TYPE##_##FIRST##_##SECOND##_##DESTINATION(                                          \
        FIRST<float, access::read> first [[texture(0)]], SECOND<float, access::read> second [[texture(1)]],  \
        DESTINATION<TYPE, access::write> destination [[texture(2)]], constant PARAMS &params [[buffer(0)]],  \
        const device float4 *terms [[buffer(1)]], uint3 position [[thread_position_in_grid]]) {              \
        BODY(first, second, destination, params, terms, position);                                           \
    }
