#pragma once

#include "image_params.h"

/// The extents of an image, and its place in an array: the strides in elements from one column, row and image
/// to the next. Channels are contiguous.
struct TransferParams {
    ImageParams image;
    unsigned int column_pitch, row_pitch, image_pitch;
    unsigned int first; ///< index of the first pixel's first element
    /// 1: each slice begins at a multiple of four elements of the array, so it can be copied as a vector.
    int by_four;
};
