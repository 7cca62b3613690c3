#pragma once

#include "array_params.h"

struct ArrayDropoutParams {
    ArrayRun run;
    unsigned int elements;
    ArrayImage image;
    /// Extents of the mask; 1 along axes that share a mask element.
    unsigned int mask_width, mask_height, mask_channels;
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< factor of the elements that are kept
};
