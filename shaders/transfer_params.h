#pragma once

#include "image_params.h"

/// An image and its place in an array: elements from one column, row and image to the next. Channels lie side
/// by side.
struct TransferParams {
    ImageParams image;
    unsigned int column_pitch, row_pitch, image_pitch;
    unsigned int first; ///< element of the first pixel
};
