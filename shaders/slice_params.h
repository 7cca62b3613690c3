#pragma once

#include "image_params.h"

struct SliceParams {
    ImageParams source, destination;
    unsigned int left, top, front; ///< where the part begins
    unsigned int stride_x, stride_y;
};
