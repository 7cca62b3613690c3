// Nearest, bilinear and Lanczos resize. MPS is not used, because its sampling positions differ between
// systems and its filter weights have few bits. The host determines the source positions of each row and
// column.

#include <metal_stdlib>

#include "image_access.h"
#include "resize_params.h"

using namespace metal;

inline float4 between(float4 first, float4 second, float fraction) {
    return fma(float4(fraction), second - first, first);
}

template <typename Source> inline float4 resize_row(Source source, ResizeTap column, int y, uint slice) {
    return between(fetch_or_zero(source, column.first, y, slice),
                   fetch_or_zero(source, column.second, y, slice), column.fraction);
}

/// Resize bilinearly. `taps` has the taps of all columns, and then the taps of all rows.
template <typename Source, typename Destination>
inline void resize_bilinear(Source source, Destination destination, constant ResizeParams &params,
                            const device ResizeTap *taps, uint3 position) {
    if (outside(position, params.destination)) return;
    const ResizeTap column = taps[position.x], row = taps[params.destination.width + position.y];
    const float4 value = between(resize_row(source, column, row.first, position.z),
                                 resize_row(source, column, row.second, position.z), row.fraction);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void resize_nearest(Source source, Destination destination, constant ResizeParams &params,
                           const device ResizeTap *taps, uint3 position) {
    if (outside(position, params.destination)) return;
    const int x = taps[position.x].first, y = taps[params.destination.width + position.y].first;
    const uint slice = position.z % params.destination.slices;
    const float4 value = fetch_or_zero(source, x, y, position.z);
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

/// Resize with Lanczos' filter. `spans` has the spans of all columns, and then the spans of all rows. The
/// horizontal sums come first, as in the CPU engine.
template <typename Source, typename Destination>
inline void resize_lanczos(Source source, Destination destination, constant ResizeParams &params,
                           const device ResizeSpan *spans, const device float *weights, uint3 position) {
    if (outside(position, params.destination)) return;
    const ResizeSpan columns = spans[position.x], rows = spans[params.destination.width + position.y];
    float4 value = float4(0.0f);
    for (int j = 0; j < rows.count; ++j) {
        float4 row = float4(0.0f);
        for (int i = 0; i < columns.count; ++i)
            row = fma(float4(weights[columns.weights + i]),
                      fetch(source, uint2(uint(columns.first + i), uint(rows.first + j)), position.z), row);
        value = fma(float4(weights[rows.weights + j]), row, value);
    }
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(value, slice, params.destination), position.xy, position.z);
}

#define RESIZE_LANCZOS(TYPE, TEXTURE)                                                                        \
    kernel void resize_lanczos_##TYPE##_##TEXTURE##_##TEXTURE(                                               \
        TEXTURE<float, access::read> source [[texture(0)]],                                                  \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        constant ResizeParams &params [[buffer(0)]], const device ResizeSpan *spans [[buffer(1)]],           \
        const device float *weights [[buffer(2)]], uint3 position [[thread_position_in_grid]]) {             \
        resize_lanczos(source, destination, params, spans, weights, position);                               \
    }
#define RESIZE_KIND(NAME, TYPE, TEXTURE)                                                                     \
    kernel void NAME##_##TYPE##_##TEXTURE##_##TEXTURE(                                                       \
        TEXTURE<float, access::read> source [[texture(0)]],                                                  \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        constant ResizeParams &params [[buffer(0)]], const device ResizeTap *taps [[buffer(1)]],             \
        uint3 position [[thread_position_in_grid]]) {                                                        \
        NAME(source, destination, params, taps, position);                                                   \
    }
#define RESIZE(TYPE, TEXTURE)                                                                                \
    RESIZE_KIND(resize_nearest, TYPE, TEXTURE)                                                               \
    RESIZE_KIND(resize_bilinear, TYPE, TEXTURE)                                                              \
    RESIZE_LANCZOS(TYPE, TEXTURE)

FOR_EACH_IMAGE_TYPE(RESIZE)
