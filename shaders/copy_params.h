#pragma once

#include "image_params.h"

/// A range of images in one MPSImage, and its place in another.
struct CopyParams {
    ImageParams image;
    unsigned int source_slice, destination_slice; ///< first slices
};
