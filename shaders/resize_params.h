#pragma once

#include "image_params.h"

/// Between which input positions an output row or column lies, and how far it is from the first. -1 reads
/// zeros.
struct ResizeTap {
    int first, second;
    float fraction;
};

/// Lanczos: the input positions side by side that a row or column adds up; their weights begin at `weights`.
struct ResizeSpan {
    int first, count, weights;
};

struct ResizeParams {
    ImageParams destination;
};
