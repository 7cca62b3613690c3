#pragma once

#include "image_params.h"

/// Axes after the batch, outermost first; unused ones in front have extent 1.
struct TransposeParams {
    ImageParams source, destination;
    unsigned int extents[5]; ///< of the result
    unsigned int steps[5];   ///< elements of the source, in NHWC order, from one position to the next
};

struct ChannelShuffleParams {
    ImageParams source, destination;
    unsigned int groups;
};
