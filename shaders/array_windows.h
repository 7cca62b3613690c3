#pragma once

#include <metal_stdlib>

using namespace metal;

/// Return the number of the window whose tap `tap` reads `position`, or -1 if there is none.
inline int window_of(int position, int tap, int stride, int dilation, int before, uint windows) {
    const int start = position + before - tap * dilation;
    if (start < 0) return -1;
    // Stride 1 avoids a division by a run-time number, which takes many instructions.
    if (stride == 1) return start < int(windows) ? start : -1;
    return start % stride == 0 && start / stride < int(windows) ? start / stride : -1;
}
