#pragma once

#include "image_params.h"

/// Axes after the batch, outermost first; unused leading ones have extent 1.
struct TransposeParams {
    ImageParams source, destination;
    unsigned int extents[5]; ///< extents of the result
    /// Distance in elements of the source, in NHWC order, from one position to the next.
    unsigned int steps[5];
};

struct ChannelShuffleParams {
    ImageParams source, destination;
    unsigned int groups;
};
