#pragma once

#include "image_params.h"
#include "kinds.h"
#include "window_params.h"

struct PoolingParams {
    ImageParams source, destination;
    WindowParams window;
    EdgeRule edge;                     ///< for maxima and norms; averages use the counted positions below
    int counted_left, counted_top;     ///< the first position that an average counts
    int counted_right, counted_bottom; ///< the first position after those that an average counts
};
