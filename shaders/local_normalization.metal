// Normalizations by the pixels around each element, for cases that MPS does not document.

#include <metal_stdlib>

#include "image_access.h"
#include "local_normalization_params.h"
#include "window_taps.h"

using namespace metal;

inline float4 divided_by_power(float4 x, float4 spread, constant PowerParams &power) {
    return x * pow(fma(spread, float4(power.alpha), float4(power.delta)), float4(-power.beta));
}

/// Sum x, or the squares of x - centre, over a window.
template <typename Source>
inline float4 sum_window(Source source, constant WindowNormalizationParams &params, uint3 position,
                         bool squares, float4 centre) {
    const int left = int(position.x) - params.window.pad_left, top = int(position.y) - params.window.pad_top;
    const int width = int(params.source.width), height = int(params.source.height);
    WindowTaps columns = window_taps(left, params.window.kernel_width, 1, width, params.edge);
    WindowTaps rows = window_taps(top, params.window.kernel_height, 1, height, params.edge);
    float4 total = float4(0.0f);
    for (int i = rows.begin(); i < rows.end(); ++i) {
        const WindowPosition row = window_position(rows, i, top, 1, height, params.edge);
        float4 sum = float4(0.0f);
        for (int j = columns.begin(); j < columns.end(); ++j) {
            const WindowPosition column = window_position(columns, j, left, 1, width, params.edge);
            const float4 x = fetch_or_zero(source, column.position, row.position, position.z) - centre;
            sum = fma(float4(column.times), squares ? x * x : x, sum);
        }
        total = fma(float4(row.times), sum, total);
    }
    return total;
}

/// Return the element at the window's centre.
template <typename Source>
inline float4 window_centre(Source source, constant WindowNormalizationParams &params, uint3 position) {
    const int x = int(position.x) + params.offset_x, y = int(position.y) + params.offset_y;
    const int inside_x = clamp(x, 0, int(params.source.width) - 1);
    const int inside_y = clamp(y, 0, int(params.source.height) - 1);
    if (params.edge == EdgeRule::zero && (x != inside_x || y != inside_y)) return float4(0.0f);
    return fetch(source, uint2(uint(inside_x), uint(inside_y)), position.z);
}

inline float window_size(constant WindowNormalizationParams &params) {
    return float(params.window.kernel_width) * float(params.window.kernel_height);
}

template <typename Source, typename Destination>
inline void normalize_spatially(Source source, Destination destination,
                                constant WindowNormalizationParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const float4 squares = sum_window(source, params, position, true, float4(0.0f));
    const float4 x = window_centre(source, params, position);
    const float4 result = divided_by_power(x, squares / window_size(params), params.power);
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

template <typename Source, typename Destination>
inline void normalize_local_contrast(Source source, Destination destination,
                                     constant WindowNormalizationParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const float size = window_size(params);
    const float4 mean = sum_window(source, params, position, false, float4(0.0f)) / size;
    const float4 squares = sum_window(source, params, position, true, mean);
    const float4 x = params.ps * fma(float4(-params.p0), mean, window_centre(source, params, position));
    const float4 result = divided_by_power(x, squares / size, params.power) + params.pm;
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

#define NORMALIZE_LOCALLY(TYPE, TEXTURE)                                                                     \
    IMAGE_KERNEL(spatial_normalization, normalize_spatially, WindowNormalizationParams, TYPE, TEXTURE,       \
                 TEXTURE)                                                                                    \
    IMAGE_KERNEL(local_contrast_normalization, normalize_local_contrast, WindowNormalizationParams, TYPE,    \
                 TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(NORMALIZE_LOCALLY)
