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
    counted ///< no loss: 1 where the weight is not 0, otherwise 0
};

struct ArrayLossParams {
    ArrayRun run; ///< one thread for each pixel
    unsigned int channels;
    ArrayLossKind kind;
    int is_gradient, has_weights;
    int sums_labels;   ///< 1: cross entropy's softmax is multiplied by the sum of the pixel's weighted labels
    int counts_pixels; ///< 1: a pixel counts once, at its first channel, if any of its weights is not 0
    float factor;      ///< factor of every element's loss
    float kept, share; ///< label smoothing: a label t is replaced by t * kept + share
    float epsilon, delta;
    float start; ///< for the cosine loss: the constant part of each element
};
