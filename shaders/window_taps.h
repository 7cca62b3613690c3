#pragma once

#include <metal_stdlib>

#include "kinds.h"
#include "window_params.h"

using namespace metal;

/// The taps of a window along one axis. The taps [first, behind) are inside the image. `before` and `after`
/// are the numbers of taps on either side that count.
struct WindowTaps {
    int first, behind, before, after;

    /// The range of a loop over the positions that a window reads. It has one step for each tap inside the
    /// image, and one step for all taps on each side.
    int begin() { return first - min(before, 1); }
    int end() { return behind + min(after, 1); }
};

/// Return the number of taps before position `limit` in a window that begins at `start`.
inline int taps_before(int limit, int start, int kernel_size, int dilation) {
    if (limit <= start) return 0;
    // Dilation 1 avoids a division by a run-time number, which takes many instructions.
    return min(kernel_size, dilation == 1 ? limit - start : (limit - start - 1) / dilation + 1);
}

inline WindowTaps window_taps(int start, int kernel_size, int dilation, int size, EdgeRule edge) {
    WindowTaps taps;
    taps.first = taps_before(0, start, kernel_size, dilation);
    taps.behind = taps_before(size, start, kernel_size, dilation);
    taps.before = edge == EdgeRule::exclude ? 0 : taps.first;
    taps.after = edge == EdgeRule::exclude ? 0 : kernel_size - taps.behind;
    return taps;
}

/// Return the number of a window's taps at positions in [first, behind).
inline int taps_between(int first, int behind, int start, int kernel_size, int dilation) {
    return taps_before(behind, start, kernel_size, dilation) -
           taps_before(first, start, kernel_size, dilation);
}

/// Return how many taps of the window that begins at (left, top) an average counts.
template <typename Params> inline float averaged_taps(constant Params &params, int left, int top) {
    return float(taps_between(params.counted_left, params.counted_right, left, params.window.kernel_width,
                              params.window.dilation_x)) *
           float(taps_between(params.counted_top, params.counted_bottom, top, params.window.kernel_height,
                              params.window.dilation_y));
}

/// The position that one step of the loop reads, and for how many taps it counts.
struct WindowPosition {
    int position; ///< -1: zeros are read
    float times;
};

inline WindowPosition window_position(WindowTaps taps, int i, int start, int dilation, int size,
                                      EdgeRule edge) {
    WindowPosition result;
    if (i >= taps.first && i < taps.behind) {
        result.position = start + i * dilation;
        result.times = 1.0f;
        return result;
    }
    result.position = edge == EdgeRule::zero ? -1 : i < taps.first ? 0 : size - 1;
    result.times = float(i < taps.first ? taps.before : taps.after);
    return result;
}
