#pragma once

#include "image_params.h"

/// Between which input positions an output row or column lies, and how far it is from the first. -1 reads
/// zeros.
struct ResizeTap {
    int first, second;
    float fraction;
};

struct ResizeParams {
    ImageParams destination;
};
