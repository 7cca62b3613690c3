#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

enum class UpdateKind {
    gradient,       ///< others: weights; and, if any, a factor
    moving_average, ///< others: x
    squares,        ///< the same of x * x
    momentum,       ///< others: gradient, rates
    nesterov,       ///< the same without the learning rate
    sgd,            ///< others: gradient, rates
    sgd_moment,     ///< others: gradient, moment, rates
    sgd_nesterov,   ///< the same
    adaptive        ///< others: first, second, rates
};

/// What ops/optimizer.h defines. The source is the first input, but of `gradient` it is the gradient too.
struct UpdateTask {
    UpdateKind kind = UpdateKind::sgd;
    ConstView source;
    ConstView others[2]; ///< tensors of the source's shape
    ConstView numbers;   ///< the rates or the factor, if any
    View destination;
    int count = 0; ///< of others
    bool reads_numbers = false;
    float rate = 0.0f; ///< of an average or a moment
    float rest = 1.0f; ///< 1 - rate, of an average
    float epsilon = 0.0f, decay = 0.0f;
    float low = 0.0f, high = 0.0f, rescale = 1.0f; ///< of `gradient`
    float of_sign = 0.0f, of_weight = 0.0f;        ///< of `gradient`: factors of the regularization

    const char *kernel_name() const { return "update"; }
};

} // namespace mpscnn::cpu
