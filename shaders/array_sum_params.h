#pragma once

#include "array_params.h"

/// The parameters of sums over the axes along which `kept` has extent 1.
struct ArraySumParams {
    ArrayRun run;
    ArrayImage source, kept;
    unsigned int results; ///< number of elements of `kept`
    unsigned int parts;   ///< number of threads that sum for one element of `kept`
    int squares;
    float factor;
};

/// The parameters of the sum of `parts` arrays, which are adjacent in memory.
struct ArrayPartsParams {
    ArrayRun run;
    unsigned int parts;
    float factor;
};
