#pragma once

#include "image_params.h"
#include "kinds.h"

struct ReductionParams {
    ImageParams source, destination;
    int kind;     ///< a ReductionKind
    float factor; ///< factor of a sum, or of a variance (also that of a deviation)
};

struct WeightedReductionParams {
    ImageParams source, weights, destination;
    int mean; ///< 1: sums are divided by the number of weights that are not zero
};
