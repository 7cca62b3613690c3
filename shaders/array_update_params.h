#pragma once

#include "array_params.h"

/// The elementwise operations of optimisers; ops/optimizer.h has the formulas.
enum class ArrayUpdateKind : int {
    gradient,       ///< reads gradient and weights; numbers: a factor
    moving_average, ///< reads average and x
    squares,        ///< reads average and x; averages x * x
    momentum,       ///< reads moment and gradient
    nesterov,       ///< reads moment and gradient; the result is not multiplied by the learning rate
    sgd,            ///< reads weights and gradient
    sgd_moment,     ///< reads weights, gradient and moment
    sgd_nesterov,   ///< reads weights, gradient and moment
    adaptive        ///< reads weights, first moment and second moment
};

struct ArrayUpdateParams {
    ArrayRun run;
    ArrayUpdateKind kind;
    int has_factor;   ///< for kind gradient: 1 if `numbers` has a factor
    float rate, rest; ///< the rate of an average or a moment, and 1 - rate
    float epsilon, decay;
    float low, high, rescale; ///< for kind gradient: limits, and a factor that is applied after them
    float of_sign, of_weight; ///< for kind gradient: factors of the regularization (l1 and l2)
};
