// Convolution and correlation of plain signals in float32.

#include <metal_stdlib>

#include "signal_params.h"

using namespace metal;

/// Return the index of the sample that a window's position reads, or -1 if there is none.
inline int signal_sample(int position, int size, constant SignalParams &params) {
    if (params.clamp != 0) return clamp(position, 0, size - 1);
    return position < size ? max(position, -1) : -1;
}

/// Sum one row of a window. Separate sums for rows reduce the rounding error of long sums.
inline float signal_row(const device float *samples, const device float *taps, int first,
                        constant SignalParams &params) {
    const int width = int(params.width), count = int(params.kernel_width);
    float sum = 0.0f;
    for (int t = 0; t < count; ++t) {
        const int column = signal_sample(first + t, width, params);
        if (column >= 0) sum += samples[column] * taps[params.correlate != 0 ? t : count - 1 - t];
    }
    return sum;
}

/// Convolve signals. There is one thread for each result of each signal.
kernel void signal_convolution(const device float *signals [[buffer(0)]],
                               const device float *taps [[buffer(1)]], device float *results [[buffer(2)]],
                               constant SignalParams &params [[buffer(3)]],
                               uint3 position [[thread_position_in_grid]]) {
    if (position.x >= params.result_width || position.y >= params.result_height ||
        position.z >= params.signals)
        return;
    const int first_row = int(position.y) - params.before_rows,
              first_column = int(position.x) - params.before_columns;
    const int height = int(params.height), kernel_rows = int(params.kernel_height);
    float sum = 0.0f;
    for (int s = 0; s < kernel_rows; ++s) {
        const int row = signal_sample(first_row + s, height, params);
        if (row < 0) continue;
        const int kernel_row = params.correlate != 0 ? s : kernel_rows - 1 - s;
        sum += signal_row(signals + (position.z * params.height + uint(row)) * params.width,
                          taps + uint(kernel_row) * params.kernel_width, first_column, params);
    }
    results[(position.z * params.result_height + position.y) * params.result_width + position.x] = sum;
}
