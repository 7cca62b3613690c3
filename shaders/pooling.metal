// Pooling where MPS means something else than networks do: dilated windows, and averages that count some of
// the padding. NaN passes through a maximum.

#include <metal_stdlib>

#include "image_access.h"
#include "pooling_params.h"

using namespace metal;

/// Taps [first, behind) of a window that begins at `start` lie within `size` positions.
struct PoolingTaps {
    int first, behind;
};

inline PoolingTaps taps_inside(int start, int kernel_size, int dilation, int size) {
    PoolingTaps taps;
    taps.first = start < 0 ? (dilation - 1 - start) / dilation : 0;
    taps.behind = start < size ? min(kernel_size, (size - start + dilation - 1) / dilation) : 0;
    return taps;
}

/// How many taps an average divides by. Where padding counts (`counted_size` is not 0), all before the image
/// does.
inline int counted_taps(PoolingTaps inside, int start, int kernel_size, int dilation, int counted_size) {
    if (counted_size == 0) return inside.behind - inside.first;
    return taps_inside(start, kernel_size, dilation, counted_size).behind;
}

struct PoolingMaximum {
    float4 value;
    void begin() { value = float4(-INFINITY); }
    void add(float4 x) {
        value = select(value, x, x > value);
        value = select(value, x, x != x); // a NaN stays: from here on no comparison is true
    }
    float4 result(float) { return value; }
};

struct PoolingAverage {
    float4 value;
    void begin() { value = float4(0.0f); }
    void add(float4 x) { value += x; }
    float4 result(float count) { return value / count; }
};

template <typename Kind, typename Source, typename Destination>
inline void pool(Source source, Destination destination, constant PoolingParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    const PoolingTaps rows =
        taps_inside(top, params.window.kernel_height, params.window.dilation_y, int(params.source.height));
    const PoolingTaps columns =
        taps_inside(left, params.window.kernel_width, params.window.dilation_x, int(params.source.width));
    Kind pooled;
    pooled.begin();
    for (int i = rows.first; i < rows.behind; ++i)
        for (int j = columns.first; j < columns.behind; ++j) {
            const uint2 tap =
                uint2(uint(left + j * params.window.dilation_x), uint(top + i * params.window.dilation_y));
            pooled.add(fetch(source, tap, position.z));
        }
    const int count = counted_taps(rows, top, params.window.kernel_height, params.window.dilation_y,
                                   params.counted_height) *
                      counted_taps(columns, left, params.window.kernel_width, params.window.dilation_x,
                                   params.counted_width);
    const uint slice = position.z % params.destination.slices;
    const float4 result = without_unused_lanes(pooled.result(float(count)), slice, params.destination);
    store(destination, result, position.xy, position.z);
}

#define POOL(NAME, KIND, TYPE, TEXTURE)                                                                      \
    kernel void NAME##_##TYPE##_##TEXTURE##_##TEXTURE(                                                       \
        TEXTURE<TYPE, access::read> source [[texture(0)]],                                                   \
        TEXTURE<TYPE, access::write> destination [[texture(1)]],                                             \
        constant PoolingParams &params [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {          \
        pool<KIND>(source, destination, params, position);                                                   \
    }
#define POOL_BOTH(TYPE, TEXTURE)                                                                             \
    POOL(pooling_max, PoolingMaximum, TYPE, TEXTURE)                                                         \
    POOL(pooling_average, PoolingAverage, TYPE, TEXTURE)

FOR_EACH_IMAGE_TYPE(POOL_BOTH)
