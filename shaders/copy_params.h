#pragma once

#include "image_params.h"

/// Some images of one MPSImage and their place in another.
struct CopyParams {
    ImageParams image;
    unsigned int source_slice, destination_slice; ///< the first
};
