// Gradients of poolings: each pixel sums the contributions of the windows that read it.

#include <metal_stdlib>

#include "array_access.h"
#include "array_pooling_params.h"
#include "window_taps.h"

using namespace metal;

/// Return a / b. A division by 1 takes many instructions if b is known only at run time.
inline int quotient(int a, int b) { return b == 1 ? a : a / b; }

/// Return how many taps of a window that begins at `start` read a position along an axis. With edge clamp,
/// several taps outside the image read the border pixel; see window_taps.h.
inline float reads_of(int position, int start, int kernel_size, int dilation, int size, EdgeRule edge) {
    const WindowTaps taps = window_taps(start, kernel_size, dilation, size, edge);
    const int distance = position - start, tap = quotient(distance, dilation);
    const bool inside = distance >= 0 && tap * dilation == distance && tap < kernel_size;
    float times = inside ? 1.0f : 0.0f;
    if (edge == EdgeRule::clamp && position == 0) times += float(taps.before);
    if (edge == EdgeRule::clamp && position == size - 1) times += float(taps.after);
    return times;
}

/// The range of windows along an axis that may read a position.
struct WindowRange {
    int first, behind;
};

inline WindowRange windows_over(int position, int stride, int kernel_size, int dilation, int before, int size,
                                uint windows, EdgeRule edge) {
    WindowRange range;
    range.first = 0;
    range.behind = int(windows);
    // With edge clamp, any window may read a border pixel.
    if (edge == EdgeRule::clamp && (position == 0 || position == size - 1)) return range;
    const int last = position + before, first = last - (kernel_size - 1) * dilation;
    if (first > 0) range.first = quotient(first + stride - 1, stride);
    range.behind = last < 0 ? 0 : min(quotient(last, stride) + 1, int(windows));
    return range;
}

/// The place of a thread: a pixel, and up to four adjacent channels.
struct PoolingPlace {
    uint image, channel, count;
    int y, x;

    void begin(uint i, constant ArrayImage &extents) {
        const uint quads = (extents.channels + 3u) / 4u;
        channel = i % quads * 4u;
        count = min(4u, extents.channels - channel);
        i /= quads;
        x = int(i % extents.width);
        i /= extents.width;
        y = int(i % extents.height);
        image = i / extents.height;
    }
    /// Return the index of the thread's first channel of a pixel.
    uint element(int row, int column, constant ArrayImage &extents) {
        return array_pixel(image, uint(row), uint(column), extents) + channel;
    }
};

/// Return the thread's channels of a pixel that begin at element i, with zeros for missing ones.
inline float4 load_channels(const device float *array, uint i, PoolingPlace at, uint number,
                            constant ArrayPoolingParams &params) {
    if (params.input.channels % 4u == 0u) return load_quad(array, i, params.run, number);
    float4 values = float4(0.0f);
    for (uint lane = 0u; lane < at.count; ++lane) values[lane] = load(array, i + lane, params.run, number);
    return values;
}

/// Replace the gradients by 0 in channels where an earlier tap of the window, in row-major order, has the
/// window's maximum, too. The first one takes the gradient.
inline float4 unless_met_before(float4 gradients, const device float *source, float4 largest, int top,
                                int left, PoolingPlace at, constant ArrayPoolingParams &params) {
    const int height = int(params.input.height), width = int(params.input.width);
    const int bottom = top + (params.window.kernel_height - 1) * params.window.dilation_y,
              right = left + (params.window.kernel_width - 1) * params.window.dilation_x;
    const bool clamps = params.edge == EdgeRule::clamp;
    // With edge clamp, taps outside the image read the nearest border pixel.
    for (int row = top; row <= bottom; row += params.window.dilation_y) {
        const int at_y = clamps ? clamp(row, 0, height - 1) : row;
        if (at_y < 0 || at_y >= height) continue;
        if (at_y > at.y) break;
        for (int column = left; column <= right; column += params.window.dilation_x) {
            const int at_x = clamps ? clamp(column, 0, width - 1) : column;
            if (at_x < 0 || at_x >= width) continue;
            if (at_y == at.y && at_x >= at.x) break;
            const float4 values = load_channels(source, at.element(at_y, at_x, params.input), at, 2u, params);
            gradients = select(gradients, float4(0.0f), values == largest);
        }
    }
    return gradients;
}

kernel void array_pooling_gradient(constant ArrayPoolingParams &params [[buffer(0)]],
                                   const device float *gradient [[buffer(1)]],
                                   const device float *source [[buffer(2)]],
                                   const device float *pooled [[buffer(3)]],
                                   device float *result [[buffer(4)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    PoolingPlace at;
    at.begin(i, params.input);
    const int height = int(params.input.height), width = int(params.input.width);
    const EdgeRule edge = params.kind == PoolingKind::average ? EdgeRule::exclude : params.edge;
    const WindowRange rows =
        windows_over(at.y, params.window.stride_y, params.window.kernel_height, params.window.dilation_y,
                     params.window.pad_top, height, params.output.height, edge);
    const WindowRange columns =
        windows_over(at.x, params.window.stride_x, params.window.kernel_width, params.window.dilation_x,
                     params.window.pad_left, width, params.output.width, edge);
    const uint element = at.element(at.y, at.x, params.input);
    float4 value = float4(0.0f), sum = float4(0.0f);
    if (params.kind != PoolingKind::average) value = load_channels(source, element, at, 2u, params);
    for (int row = rows.first; row < rows.behind; ++row) {
        const int top = row * params.window.stride_y - params.window.pad_top;
        const float row_times =
            reads_of(at.y, top, params.window.kernel_height, params.window.dilation_y, height, edge);
        if (row_times == 0.0f) continue;
        for (int column = columns.first; column < columns.behind; ++column) {
            const int left = column * params.window.stride_x - params.window.pad_left;
            const float times = row_times * reads_of(at.x, left, params.window.kernel_width,
                                                     params.window.dilation_x, width, edge);
            if (times == 0.0f) continue;
            const uint window = at.element(row, column, params.output);
            float4 given = load_channels(gradient, window, at, 1u, params);
            if (params.kind == PoolingKind::average) {
                sum += given / max(averaged_taps(params, left, top), 1.0f);
                continue;
            }
            const float4 of = load_channels(pooled, window, at, 3u, params);
            if (params.kind == PoolingKind::l2_norm) {
                sum += select(value * times * (given / of), float4(0.0f), of == float4(0.0f));
                continue;
            }
            given = select(float4(0.0f), given, value == of);
            // If a zero outside the image equals the maximum, no pixel gets the gradient.
            const bool reaches_outside =
                top < 0 || left < 0 ||
                top + (params.window.kernel_height - 1) * params.window.dilation_y >= height ||
                left + (params.window.kernel_width - 1) * params.window.dilation_x >= width;
            if (edge == EdgeRule::zero && reaches_outside)
                given = select(given, float4(0.0f), of == float4(0.0f));
            sum += unless_met_before(given, source, of, top, left, at, params);
        }
    }
    if (params.input.channels % 4u == 0u) return store_quad(result, sum, element, params.run, 4u);
    for (uint lane = 0u; lane < at.count; ++lane) store(result, sum[lane], element + lane, params.run, 4u);
}

/// The gradient of maximums of 2x2 windows that do not overlap. A thread has a window, and four channels. It
/// reads all four pixels at once. Windows after the last one have no gradient, and the pixels that they reach
/// get zeros.
kernel void array_pooling_gradient_2x2(constant ArrayPoolingParams &params [[buffer(0)]],
                                       const device float *gradient [[buffer(1)]],
                                       const device float *source [[buffer(2)]],
                                       const device float *pooled [[buffer(3)]],
                                       device float *result [[buffer(4)]],
                                       uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const uint across = (params.input.width + uint(params.window.pad_left) + 1u) / 2u,
               down = (params.input.height + uint(params.window.pad_top) + 1u) / 2u,
               quads = params.input.channels / 4u;
    PoolingPlace at;
    at.channel = i % quads * 4u;
    at.count = 4u;
    i /= quads;
    const uint column = i % across, row = i / across % down;
    at.image = i / across / down;
    at.y = int(row) * 2 - params.window.pad_top;
    at.x = int(column) * 2 - params.window.pad_left;
    float4 given = float4(0.0f), of = float4(0.0f), values[4];
    if (row < params.output.height && column < params.output.width) {
        const uint window = at.element(int(row), int(column), params.output);
        given = load_quad(gradient, window, params.run, 1u);
        of = load_quad(pooled, window, params.run, 3u);
    }
    bool inside[4];
#pragma unroll
    for (int tap = 0; tap < 4; ++tap) {
        const int y = at.y + tap / 2, x = at.x + tap % 2;
        inside[tap] = y >= 0 && y < int(params.input.height) && x >= 0 && x < int(params.input.width);
        values[tap] = float4(0.0f);
        if (inside[tap]) values[tap] = load_quad(source, at.element(y, x, params.input), params.run, 2u);
    }
#pragma unroll
    for (int tap = 0; tap < 4; ++tap) {
        if (!inside[tap]) continue;
        const uint element = at.element(at.y + tap / 2, at.x + tap % 2, params.input);
        store_quad(result, select(float4(0.0f), given, values[tap] == of), element, params.run, 4u);
        given = select(given, float4(0.0f), values[tap] == of);
    }
}
