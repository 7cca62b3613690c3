#pragma once

#include "image_params.h"

/// Position i of the result takes position first + i * step of the source, i within a period unless that is
/// 0; or the one that indices[i] names.
struct TakenAxis {
    int first, step;
    unsigned int period;
    int has_indices;
};

struct TakeParams {
    ImageParams source, destination;
    TakenAxis rows, columns, channels;
};
