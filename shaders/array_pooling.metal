// Gradients of poolings: each pixel sums the contributions of the windows that read it.

#include <metal_stdlib>

#include "array_access.h"
#include "array_pooling_params.h"
#include "window_taps.h"

using namespace metal;

/// Return how many taps of a window that begins at `start` read a position along an axis. With edge clamp,
/// several taps outside the image read the border pixel; see window_taps.h.
inline float reads_of(int position, int start, int kernel_size, int dilation, int size, EdgeRule edge) {
    const WindowTaps taps = window_taps(start, kernel_size, dilation, size, edge);
    const int tap = (position - start) / dilation;
    const bool inside = position >= start && (position - start) % dilation == 0 && tap < kernel_size;
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
    if (first > 0) range.first = (first + stride - 1) / stride;
    range.behind = last < 0 ? 0 : min(last / stride + 1, int(windows));
    return range;
}

/// True if an earlier tap of the window, in row-major order, has the window's maximum, too. The first one
/// takes the gradient.
inline bool is_met_before(const device float *source, float largest, int y, int x, int top, int left,
                          uint image, uint channel, constant ArrayPoolingParams &params) {
    const int height = int(params.input.height), width = int(params.input.width);
    const int bottom = top + (params.window.kernel_height - 1) * params.window.dilation_y,
              right = left + (params.window.kernel_width - 1) * params.window.dilation_x;
    const bool clamps = params.edge == EdgeRule::clamp;
    // With edge clamp, taps outside the image read the nearest border pixel.
    for (int row = top; row <= bottom; row += params.window.dilation_y) {
        const int at_y = clamps ? clamp(row, 0, height - 1) : row;
        if (at_y < 0 || at_y >= height) continue;
        if (at_y > y) return false;
        for (int column = left; column <= right; column += params.window.dilation_x) {
            const int at_x = clamps ? clamp(column, 0, width - 1) : column;
            if (at_x < 0 || at_x >= width) continue;
            if (at_y == y && at_x >= x) break;
            if (load(source, array_pixel(image, uint(at_y), uint(at_x), params.input) + channel, params.run,
                     2) == largest)
                return true;
        }
    }
    return false;
}

kernel void array_pooling_gradient(constant ArrayPoolingParams &params [[buffer(0)]],
                                   const device float *gradient [[buffer(1)]],
                                   const device float *source [[buffer(2)]],
                                   const device float *pooled [[buffer(3)]],
                                   device float *result [[buffer(4)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace at = array_place(i, params.input);
    const int y = int(at.y), x = int(at.x), height = int(params.input.height),
              width = int(params.input.width);
    const EdgeRule edge = params.kind == PoolingKind::average ? EdgeRule::exclude : params.edge;
    const WindowRange rows =
        windows_over(y, params.window.stride_y, params.window.kernel_height, params.window.dilation_y,
                     params.window.pad_top, height, params.output.height, edge);
    const WindowRange columns =
        windows_over(x, params.window.stride_x, params.window.kernel_width, params.window.dilation_x,
                     params.window.pad_left, width, params.output.width, edge);
    float sum = 0.0f;
    for (int row = rows.first; row < rows.behind; ++row) {
        const int top = row * params.window.stride_y - params.window.pad_top;
        const float row_times =
            reads_of(y, top, params.window.kernel_height, params.window.dilation_y, height, edge);
        if (row_times == 0.0f) continue;
        for (int column = columns.first; column < columns.behind; ++column) {
            const int left = column * params.window.stride_x - params.window.pad_left;
            const float times = row_times * reads_of(x, left, params.window.kernel_width,
                                                     params.window.dilation_x, width, edge);
            if (times == 0.0f) continue;
            const uint window = array_pixel(at.image, uint(row), uint(column), params.output) + at.channel;
            const float given = load(gradient, window, params.run, 1);
            if (params.kind == PoolingKind::average) {
                sum += given / max(averaged_taps(params, left, top), 1.0f);
                continue;
            }
            const float value = load(source, i, params.run, 2), of = load(pooled, window, params.run, 3);
            if (params.kind == PoolingKind::l2_norm) {
                if (of != 0.0f) sum += times * value * (given / of);
                continue;
            }
            if (value != of) continue;
            // If a zero outside the image equals the maximum, no pixel gets the gradient.
            const bool reaches_outside =
                top < 0 || left < 0 ||
                top + (params.window.kernel_height - 1) * params.window.dilation_y >= height ||
                left + (params.window.kernel_width - 1) * params.window.dilation_x >= width;
            if (edge == EdgeRule::zero && of == 0.0f && reaches_outside) continue;
            if (!is_met_before(source, of, y, x, top, left, at.image, at.channel, params)) sum += given;
        }
    }
    store(result, sum, i, params.run, 4);
}
