#pragma once

#include "ops/dropout.h"
#include "shaders/image_params.h"

namespace mpscnn::metal {

/// The shader's parameters for the mask of images with these extents.
struct DropoutMask {
    unsigned int width, height, channels; ///< 1 where the mask is shared along an axis
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< factor of the elements that are kept

    DropoutMask(const ops::Dropout &operation, unsigned int image_width, unsigned int image_height,
                unsigned int image_channels);
};

} // namespace mpscnn::metal
