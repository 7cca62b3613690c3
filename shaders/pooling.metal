// Poolings that MPS computes differently from other frameworks or does not document: dilated windows, windows
// larger than the image, averages that count some of the padding, norms in float32 and norms that read the
// nearest pixel. The kernels also replace those of MPS on devices that may not use these. The maximum of a
// window with NaN is NaN.

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

// The square root of the sum of squares. The elements are multiplied by a power of two first.
struct PoolingNorm {
    float4 row, total, factor;
    void begin() {
        row = total = float4(0.0f);
        factor = float4(1.0f);
    }
    void add(float4 x, float times) {
        const float4 scaled = x * factor;
        row += times * scaled * scaled;
    }
    void end_row(float times) {
        total += times * row;
        row = float4(0.0f);
    }
    float4 result(float) { return sqrt(total) / factor; }
};

struct PoolingMagnitude {
    float4 value;
    void begin() { value = float4(0.0f); }
    void add(float4 x, float) { value = max(value, fabs(x)); }
    void end_row(float) {}
};

/// Add the taps of the window of result `position` to a state that has begun.
template <typename Kind, typename Source>
inline void pool_window(thread Kind &pooled, Source source, constant PoolingParams &params, uint3 position) {
    const int width = int(params.source.width), height = int(params.source.height);
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    WindowTaps rows =
        window_taps(top, params.window.kernel_height, params.window.dilation_y, height, params.edge);
    WindowTaps columns =
        window_taps(left, params.window.kernel_width, params.window.dilation_x, width, params.edge);
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
}

template <typename Destination>
inline void store_pooled(Destination destination, float4 result, constant PoolingParams &params,
                         uint3 position) {
    const uint slice = position.z % params.destination.slices;
    store(destination, without_unused_lanes(result, slice, params.destination), position.xy, position.z);
}

template <typename Kind, typename Source, typename Destination>
inline void pool(Source source, Destination destination, constant PoolingParams &params, uint3 position) {
    if (outside(position, params.destination)) return;
    Kind pooled;
    pooled.begin();
    pool_window(pooled, source, params, position);
    const int left = int(position.x) * params.window.stride_x - params.window.pad_left;
    const int top = int(position.y) * params.window.stride_y - params.window.pad_top;
    store_pooled(destination, pooled.result(averaged_taps(params, left, top)), params, position);
}

/// True if floats can hold the squares of a norm in all lanes that are used. A window of zeros is in range
/// only if `magnitude` is 0.
inline bool are_in_range(float4 squares, float4 magnitude, uint lanes) {
    for (uint lane = 0; lane < lanes; ++lane)
        if (!(squares[lane] < INFINITY) || (squares[lane] < 1e-30f && magnitude[lane] > 0.0f)) return false;
    return true;
}

/// If squares overflow or underflow a float, the window is read again, and its elements are first multiplied
/// by powers of two.
template <typename Source, typename Destination>
inline void pool_norm(Source source, Destination destination, constant PoolingParams &params,
                      uint3 position) {
    if (outside(position, params.destination)) return;
    const uint lanes = used_lanes(position.z % params.destination.slices, params.destination);
    PoolingNorm norm;
    norm.begin();
    pool_window(norm, source, params, position);
    float4 result = norm.result(1.0f);
    if (!are_in_range(norm.total, float4(1.0f), lanes)) {
        PoolingMagnitude magnitude;
        magnitude.begin();
        pool_window(magnitude, source, params, position);
        if (!are_in_range(norm.total, magnitude.value, lanes)) {
            const float4 squares = norm.total, one = float4(1.0f);
            norm.begin();
            norm.factor = select(one, float4(exp2(100.0f)), squares < float4(1e-30f));
            norm.factor = select(float4(exp2(-100.0f)), norm.factor, squares < float4(INFINITY));
            pool_window(norm, source, params, position);
            result = norm.result(1.0f);
        }
    }
    store_pooled(destination, result, params, position);
}

#define POOL(TYPE, TEXTURE)                                                                                  \
    IMAGE_KERNEL(pooling_max, pool<PoolingMaximum>, PoolingParams, TYPE, TEXTURE, TEXTURE)                   \
    IMAGE_KERNEL(pooling_average, pool<PoolingAverage>, PoolingParams, TYPE, TEXTURE, TEXTURE)               \
    IMAGE_KERNEL(pooling_l2_norm, pool_norm, PoolingParams, TYPE, TEXTURE, TEXTURE)

FOR_EACH_IMAGE_TYPE(POOL)
