#pragma once

#include "array_params.h"

/// Sums over the axes along which `kept` has one element and the source has more.
struct ArraySumParams {
    ArrayRun run;
    ArrayImage source, kept;
    unsigned int results; ///< elements of `kept`
    unsigned int part;    ///< elements that a thread adds
    int squares;
    float factor;
};

/// Sums of `parts` arrays, one after the other.
struct ArrayPartsParams {
    ArrayRun run;
    unsigned int parts;
    float factor;
};
