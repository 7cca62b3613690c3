// Converts a photo to a network's input, as docs/preprocessing.md defines it. For each column and row of the
// destination, the host determines which samples of the photo are read, and their weights (taps). The taps
// include orientation, crop, position and filter.

#include <metal_stdlib>

#include "image_access.h"
#include "preprocess_params.h"

using namespace metal;

using Photo = texture2d<float, access::read>;

/// The work of a thread: a pixel of the destination, and the indices of its taps.
struct PreprocessPlace {
    bool shows_photo;
    uint column, row; ///< indices of the taps, counted in the resized photo as it is stored
};

inline PreprocessPlace place_of(uint3 position, constant PreprocessParams &params) {
    const uint x = position.x - params.left, y = position.y - params.top;
    PreprocessPlace place;
    place.shows_photo = position.x >= params.left && position.y >= params.top && x < params.width &&
                        y < params.height;
    place.column = params.transposed != 0 ? y : x;
    place.row = params.transposed != 0 ? x : y;
    return place;
}

inline uint columns_of(constant PreprocessParams &params) {
    return params.transposed != 0 ? params.height : params.width;
}

inline float3 triple(constant float *values) { return float3(values[0], values[1], values[2]); }

/// Return values between 0 and 1. NaN stays NaN.
inline float4 limited(float4 value) {
    value = select(value, float4(0.0f), value < float4(0.0f));
    return select(value, float4(1.0f), value > float4(1.0f));
}

/// Return a weighted sum of samples, in the texture's units. Samples without a tap are not read, because they
/// may be NaN.
inline float4 resized(Photo photo, PreprocessTaps column, PreprocessTaps row, const device float *weights,
                      bool over_white, constant PreprocessParams &params) {
    const bool rows_first = params.rows_first != 0; // matters if the first sums are limited
    const PreprocessTaps inner = rows_first ? row : column, outer = rows_first ? column : row;
    float4 sum = float4(0.0f);
    for (uint o = 0; o < outer.count; ++o) {
        float4 line = float4(0.0f);
        for (uint i = 0; i < inner.count; ++i) {
            const uint x = column.first + (rows_first ? o : i), y = row.first + (rows_first ? i : o);
            float4 pixel = photo.read(uint2(x, y));
            if (over_white) pixel = pixel * float4(pixel.w) + float4(1.0f - pixel.w);
            line = fma(float4(weights[inner.weight + i]), pixel, line);
        }
        if (params.limits == 2) line = limited(line);
        sum = fma(float4(weights[outer.weight + o]), line, sum);
    }
    return params.limits != 0 ? limited(sum) : sum;
}

/// Normalise red, green and blue from 0..255, and store them. If the destination has one channel, they become
/// gray before, unless they are gray already (`is_gray`).
template <typename Destination>
inline void finish(float3 rgb, bool is_gray, Destination destination, uint3 position,
                   constant PreprocessParams &params) {
    if (params.destination.channels == 1 && !is_gray)
        rgb = float3(0.299f * rgb.x + 0.587f * rgb.y + 0.114f * rgb.z);
    const float3 value = (rgb - triple(params.mean)) * triple(params.scale);
    const float4 ordered = params.bgr != 0 ? float4(value.z, value.y, value.x, 0.0f)
                                           : float4(value.x, value.y, value.z, 0.0f);
    store(destination, without_unused_lanes(ordered, 0, params.destination), position.xy, params.image);
}

template <typename Destination>
inline void preprocess(Photo photo, Destination destination, constant PreprocessParams &params,
                       const device PreprocessTaps *taps, const device float *weights, uint3 position) {
    if (outside(position, params.destination)) return;
    const PreprocessPlace place = place_of(position, params);
    if (!place.shows_photo) {
        finish(triple(params.bar), true, destination, position, params);
        return;
    }
    const float4 pixel = resized(photo, taps[place.column], taps[columns_of(params) + place.row], weights,
                                 params.uses_alpha != 0, params);
    const bool is_gray = params.gray_photo != 0;
    const float3 rgb = is_gray ? float3(pixel.x) : float3(pixel.x, pixel.y, pixel.z);
    finish(rgb * float3(255.0f), is_gray, destination, position, params);
}

template <typename Destination>
inline void preprocess_yuv(Photo photo, Photo chroma, Destination destination,
                           constant PreprocessParams &params, const device PreprocessTaps *taps,
                           const device float *weights, uint3 position) {
    if (outside(position, params.destination)) return;
    const PreprocessPlace place = place_of(position, params);
    if (!place.shows_photo) {
        finish(triple(params.bar), true, destination, position, params);
        return;
    }
    const uint columns = columns_of(params), all = params.width + params.height;
    const float luma =
        resized(photo, taps[place.column], taps[columns + place.row], weights, false, params).x * 255.0f;
    const float4 differences =
        resized(chroma, taps[all + place.column], taps[all + columns + place.row], weights, false, params) *
            float4(255.0f) -
        float4(128.0f);
    const float3 rgb = float3((luma - params.black) * params.luma_factor) +
                       float3(differences.x) * triple(params.blue_factors) +
                       float3(differences.y) * triple(params.red_factors);
    finish(clamp(rgb, float3(0.0f), float3(255.0f)), false, destination, position, params);
}

#define PREPROCESS(TYPE, TEXTURE)                                                                            \
    kernel void preprocess_##TYPE##_##TEXTURE(                                                               \
        texture2d<float, access::read> photo [[texture(0)]],                                                 \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        constant PreprocessParams &params [[buffer(0)]], const device PreprocessTaps *taps [[buffer(1)]],    \
        const device float *weights [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {             \
        preprocess(photo, destination, params, taps, weights, position);                                     \
    }                                                                                                        \
    kernel void preprocess_yuv_##TYPE##_##TEXTURE(                                                           \
        texture2d<float, access::read> photo [[texture(0)]],                                                 \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        texture2d<float, access::read> chroma [[texture(2)]],                                                \
        constant PreprocessParams &params [[buffer(0)]], const device PreprocessTaps *taps [[buffer(1)]],    \
        const device float *weights [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {             \
        preprocess_yuv(photo, chroma, destination, params, taps, weights, position);                         \
    }

FOR_EACH_IMAGE_TYPE(PREPROCESS)
