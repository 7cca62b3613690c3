// Gradients of resizes: each input pixel sums the weighted gradients of the results that sample it.

#include <metal_stdlib>

#include "array_access.h"
#include "array_resize_params.h"

using namespace metal;

/// Return the weight that a tap gives to a position.
inline float share_of(int position, ResizeTap tap) {
    return (tap.first == position ? 1.0f - tap.fraction : 0.0f) +
           (tap.second == position ? tap.fraction : 0.0f);
}

/// Compute the gradient. `taps` has the taps of all result columns and rows. For each input column and row it
/// then has the range of results that read it: from `first` to before `second`.
kernel void array_resize_gradient(constant ArrayResizeParams &params [[buffer(0)]],
                                  const device float *gradient [[buffer(1)]],
                                  device float *result [[buffer(2)]],
                                  const device ResizeTap *taps [[buffer(3)]],
                                  uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace at = array_place(i, params.input);
    const uint rows = params.output.width, readers = rows + params.output.height;
    const ResizeTap columns_of = taps[readers + at.x],
                    rows_of = taps[readers + params.input.width + at.y];
    float sum = 0.0f;
    for (int y = rows_of.first; y < rows_of.second; ++y) {
        float row = 0.0f;
        for (int x = columns_of.first; x < columns_of.second; ++x) {
            const uint from = array_pixel(at.image, uint(y), uint(x), params.output) + at.channel;
            row = fma(share_of(int(at.x), taps[x]), load(gradient, from, params.run, 1), row);
        }
        sum = fma(share_of(int(at.y), taps[rows + uint(y)]), row, sum);
    }
    store(result, sum, i, params.run, 2);
}
