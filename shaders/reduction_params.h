#pragma once

#include "image_params.h"

enum ReductionKind {
    reduction_max = 0,
    reduction_min = 1,
    reduction_sum = 2,
    reduction_mean = 3,
    reduction_product = 4,
    reduction_norm = 5
};

struct ReductionParams {
    ImageParams source, destination;
    int kind;     ///< ReductionKind
    float factor; ///< of a sum
};

struct WeightedReductionParams {
    ImageParams source, weights, destination;
    int mean; ///< whether sums are divided by the number of weights that are not zero
};
