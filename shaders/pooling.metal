// Poolings that MPS computes differently from other frameworks or does not document: dilated windows,
// averages that count some of the padding, norms that read the nearest pixel. The maximum of a window with
// NaN is NaN.

#include <metal_stdlib>

#include "image_access.h"
#include "pooling_params.h"
#include "window_taps.h"

using namespace metal;

struct PoolingMaximum {
    float4 value;
    void begin() { value = float4(-INFINITY); }
    void add(float4 x, float) {
        value = select(value, x, x > value);
        value = select(value, x, x != x); // NaN stays, because no later comparison with it is true
    }
    void end_row(float) {}
    float4 result(float) { return value; }
};

// The mean of a window. Each row is summed separately. The rounding error of a large window therefore grows
// with its height plus its width, not with their product.
struct PoolingAverage {
    float4 row, total;
    void begin() { row = total = float4(0.0f); }
    void add(float4 x, float) { row += x; }
    void end_row(float) {
        total += row;
        row = float4(0.0f);
    }
    float4 result(float count) { return total / max(count, 1.0f); }
};

struct PoolingNorm {
    float4 row, total;
    void begin() { row = total = float4(0.0f); }
    void add(float4 x, float times) { row += times * x * x; }
    void end_row(float times) {
        total += times * row;
        row = float4(0.0f);
    }
    float4 result(float) { return sqrt(total); }
};

/// Return the number of a window's taps at positions in [first, behind).
inline float counted_taps(int first, int behind, int start, int kernel_size, int dilation) {
    return float(taps_before(behind, start, kernel_size, dilation) -
                 taps_before(first, start, kernel_size, dilation));
}

inline float pooling_count(constant PoolingParams &params, int left, int top) {
    return counted_taps(params.counted_left, params.counted_right, left, params.window.kernel_width,
                        params.window.dilation_x) *
           counted_taps(params.counted_top, params.counted_bottom, top, params.window.kernel_height,
                        params.window.dilation_y);
}

template <typename Kind, typename Source, typename Destination>
inline void pool(Source source, Destination destination, constant PoolingParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    const int width = int(params.source.width), height = int(params.source.height);
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    WindowTaps rows =
        window_taps(top, params.window.kernel_height, params.window.dilation_y, height, params.edge);
    WindowTaps columns =
        window_taps(left, params.window.kernel_width, params.window.dilation_x, width, params.edge);
    Kind pooled;
    pooled.begin();
    for (int i = rows.begin(); i < rows.end(); ++i) {
        const WindowPosition row =
            window_position(rows, i, top, params.window.dilation_y, height, params.edge);
        for (int j = columns.begin(); j < columns.end(); ++j) {
            const WindowPosition column =
                window_position(columns, j, left, params.window.dilation_x, width, params.edge);
            pooled.add(fetch_or_zero(source, column.position, row.position, position.z), column.times);
        }
        pooled.end_row(row.times);
    }
    const uint slice = position.z % params.destination.slices;
    const float4 result = pooled.result(pooling_count(params, left, top));
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

#define POOL(TYPE, TEXTURE)                                                                                  \
    IMAGE_KERNEL(pooling_max, pool<PoolingMaximum>, PoolingParams, TYPE, TEXTURE, TEXTURE)                   \
    IMAGE_KERNEL(pooling_average, pool<PoolingAverage>, PoolingParams, TYPE, TEXTURE, TEXTURE)               \
    IMAGE_KERNEL(pooling_l2_norm, pool<PoolingNorm>, PoolingParams, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(POOL)
