#pragma once

#include "array_params.h"

/// The elementwise losses that kernels distinguish.
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
    ArrayRun run; ///< one thread for each pixel
    unsigned int channels;
    ArrayLossKind kind;
    int is_gradient, has_weights;
    int sums_labels;   ///< 1: the factor of cross entropy's softmax is the sum of a pixel's weighted labels
    int counts_pixels; ///< 1: only the first channel of a pixel is counted, if any of its weights is not 0
    float factor;      ///< factor of every element
    float kept, share; ///< a label t is replaced by t * kept + share
    float epsilon, delta;
    float start; ///< for the cosine loss: a constant that each element adds
};
