#pragma once

#include "ops/dropout.h"
#include "shaders/image_params.h"

namespace mpscnn::metal {

/// What shaders are reported of a mask for images of these extents.
struct DropoutMask {
    unsigned int width, height, channels; ///< 1: shared
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< of what is kept

    DropoutMask(const ops::Dropout &operation, unsigned int image_width, unsigned int image_height,
                unsigned int image_channels);
};

} // namespace mpscnn::metal
