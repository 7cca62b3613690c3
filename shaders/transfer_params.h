#pragma once

#include "image_params.h"

/// An image and its place in an array: the distances in elements from one column, row and image to the next.
/// Channels are contiguous.
struct TransferParams {
    ImageParams image;
    unsigned int column_pitch, row_pitch, image_pitch;
    unsigned int first; ///< index of the first pixel's first element
    int by_four;        ///< whether the first element of each slice is at a multiple of four elements
};
