#pragma once

#include "image_params.h"

struct TakeAlongAxisParams {
    ImageParams source, indices, destination;
    int axis; ///< 0 for rows, 1 for columns, 2 for feature channels
};
