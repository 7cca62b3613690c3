#pragma once

#include "array_params.h"

/// Losses of elements that kernels tell apart.
enum class ArrayLossKind : int {
    absolute,
    squared,
    softmax,
    sigmoid,
    categorical,
    hinge,
    huber,
    cosine,
    log,
    kullback_leibler,
    counted ///< 1 where the weight is not 0
};

struct ArrayLossParams {
    ArrayRun run; ///< a thread for each pixel
    unsigned int channels;
    ArrayLossKind kind;
    int is_gradient, has_weights;
    int sums_labels;   ///< the factor of cross entropy's softmax is the sum of a pixel's weighted labels
    int counts_pixels; ///< of the channels of a pixel only the first one is counted, if any weight is not 0
    float factor;      ///< of every element
    float kept, share; ///< a label t counts as t * kept + share
    float epsilon, delta;
    float start; ///< of cosine: what each element adds to its loss
};
