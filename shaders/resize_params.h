#pragma once

#include "image_params.h"

/// The two input positions between which an output row or column samples. `fraction`, from 0 to 1, is the
/// distance of the sample from the first one. Position -1 reads zeros.
struct ResizeTap {
    int first, second;
    float fraction;
};

/// The adjacent input positions that Lanczos' filter sums for an output row or column. Their weights begin at
/// `weights`.
struct ResizeSpan {
    int first, count, weights;
};

struct ResizeParams {
    ImageParams destination;
};
