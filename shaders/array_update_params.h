#pragma once

#include "array_params.h"

/// What an optimiser computes of each weight; ops/optimizer.h has the formulas.
enum class ArrayUpdateKind : int {
    gradient,       ///< of gradient and weights; numbers: a factor
    moving_average, ///< of average and x
    squares,        ///< the same of x * x
    momentum,       ///< of moment and gradient
    nesterov,       ///< the same without the learning rate
    sgd,            ///< of weights and gradient
    sgd_moment,     ///< of weights, gradient and moment
    sgd_nesterov,   ///< the same
    adaptive        ///< of weights, first and second
};

struct ArrayUpdateParams {
    ArrayRun run;
    ArrayUpdateKind kind;
    int has_factor;   ///< of `gradient`
    float rate, rest; ///< of an average or a moment, and 1 - rate
    float epsilon, decay;
    float low, high, rescale; ///< of `gradient`
    float of_sign, of_weight; ///< of `gradient`: factors of the regularization
};
