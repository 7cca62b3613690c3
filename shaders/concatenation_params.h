#pragma once

#include "image_params.h"

/// The place of a part in the result.
struct ConcatenationParams {
    ImageParams part;
    unsigned int whole_slices; ///< slices of one image
    unsigned int x, y, slice;
    unsigned int part_rows, whole_rows; ///< axes before the rows form blocks with this number of rows
};
