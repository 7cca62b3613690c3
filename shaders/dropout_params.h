#pragma once

#include "image_params.h"

struct DropoutParams {
    ImageParams image;
    unsigned int mask_width, mask_height, mask_channels; ///< extents of the mask; 1 where it is shared
    /// Number of the mask's first element in the first image, in two halves.
    unsigned int first_element_low, first_element_high;
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< factor of elements that are kept
};
