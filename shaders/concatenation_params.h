#pragma once

#include "image_params.h"

/// Where a part begins in the whole.
struct ConcatenationParams {
    ImageParams part;
    unsigned int whole_slices; ///< of one image
    unsigned int x, y, slice;
    unsigned int part_rows, whole_rows; ///< axes before the rows make blocks of this many rows
};
