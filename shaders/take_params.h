#pragma once

#include "image_params.h"

/// Position i of the result takes position first + i * step of the source. If there is a period, i is reduced
/// modulo it. With indices, it takes position indices[i] instead.
struct TakenAxis {
    int first, step;
    unsigned int period;
    int has_indices;
};

struct TakeParams {
    ImageParams source, destination;
    TakenAxis rows, columns, channels;
};
