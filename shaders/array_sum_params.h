#pragma once

#include "array_params.h"

/// Sums over the axes in which `kept` has extent 1 and the source more.
struct ArraySumParams {
    ArrayRun run;
    ArrayImage source, kept;
    unsigned int results; ///< number of elements of `kept`
    unsigned int parts;   ///< number of threads that sum for one element of `kept`
    int squares;
    float factor;
};

/// Sums of `parts` arrays, which are adjacent in memory.
struct ArrayPartsParams {
    ArrayRun run;
    unsigned int parts;
    float factor;
};
