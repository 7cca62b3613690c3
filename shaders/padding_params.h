#pragma once

#include "image_params.h"
#include "kinds.h"

struct PaddingParams {
    ImageParams source, destination;
    int left, top, front; ///< negative: cropped
    PaddingMode mode;
};
