#pragma once

#include "image_params.h"

struct DropoutParams {
    ImageParams image;
    /// Extents of the mask; 1 along axes that share a mask element.
    unsigned int mask_width, mask_height, mask_channels;
    /// The number of the mask's first element in the first image, in two halves of 32 bits.
    unsigned int first_element_low, first_element_high;
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< factor of the elements that are kept
};
