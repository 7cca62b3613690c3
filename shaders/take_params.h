#pragma once

#include "image_params.h"

/// The positions of one axis that are copied. Position i of the result reads position first + i * step of the
/// source. With a period, i is first reduced modulo it (tiles). With indices, position i reads position
/// indices[i] (gathers).
struct TakenAxis {
    int first, step;
    unsigned int period;
    int has_indices;
};

struct TakeParams {
    ImageParams source, destination;
    TakenAxis rows, columns, channels;
};
