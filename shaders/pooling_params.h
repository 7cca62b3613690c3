#pragma once

#include "image_params.h"
#include "window_params.h"

struct PoolingParams {
    ImageParams source, destination;
    WindowParams window;
    int counted_width, counted_height; ///< averages that count padding: up to which position; else 0
};
