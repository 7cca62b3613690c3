#pragma once

#include "image_params.h"

/// The parameters of a transpose. Axes after the batch are numbered from the outermost one; unused leading
/// ones have extent 1.
struct TransposeParams {
    ImageParams source, destination;
    unsigned int extents[5]; ///< extents of the result
    /// Strides of the source, in elements in NHWC order, along each axis of the result.
    unsigned int steps[5];
};

struct ChannelShuffleParams {
    ImageParams source, destination;
    unsigned int groups;
};
