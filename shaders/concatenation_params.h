#pragma once

#include "image_params.h"

/// The place of one concatenated part in the result.
struct ConcatenationParams {
    ImageParams part;
    unsigned int whole_slices; ///< number of slices of one image of the result
    unsigned int x, y, slice;
    /// Rows of each block; axes before the concatenated one are rows in blocks, see ConcatenationLayer.
    unsigned int part_rows, whole_rows;
};
