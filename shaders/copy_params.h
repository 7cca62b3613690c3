#pragma once

#include "image_params.h"

/// The parameters of a copy of some images of one MPSImage to another MPSImage.
struct CopyParams {
    ImageParams image;
    unsigned int source_slice, destination_slice; ///< first slice in each MPSImage
};
