#pragma once

#include "image_params.h"

/// The two input positions next to an output row or column, and its distance from the first. -1 reads zeros.
struct ResizeTap {
    int first, second;
    float fraction;
};

/// Lanczos: the adjacent input positions that a row or column sums up; their weights begin at `weights`.
struct ResizeSpan {
    int first, count, weights;
};

struct ResizeParams {
    ImageParams destination;
};
