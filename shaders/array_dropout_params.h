#pragma once

#include "array_params.h"

struct ArrayDropoutParams {
    ArrayRun run;
    unsigned int elements;
    ArrayImage image;
    unsigned int mask_width, mask_height, mask_channels; ///< extents of the mask; 1 where it is shared
    unsigned int seed_low, seed_high;
    unsigned int last_kept; ///< the largest random word of an element that is kept
    float factor;           ///< factor of elements that are kept
};
