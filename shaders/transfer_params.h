#pragma once

#include "image_params.h"

/// An image and its place in an array of pixels that have `pitch` channels, from `first_channel` on.
struct TransferParams {
    ImageParams image;
    unsigned int pitch, first_channel;
};
