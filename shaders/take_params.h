#pragma once

#include "image_params.h"

/// The positions of one axis that are copied. Position i of the result reads position first + i * step of the
/// source. If `period` is not 0, i is first reduced modulo the period (tiles). If `has_indices` is not 0,
/// position i reads position indices[i] instead (gathers).
struct TakenAxis {
    int first, step;
    unsigned int period;
    int has_indices;
};

struct TakeParams {
    ImageParams source, destination;
    TakenAxis rows, columns, channels;
};
