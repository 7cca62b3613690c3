#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// The kinds of updates, with the tensors that each reads after its source. Rates and factors are in
/// UpdateTask::numbers, and all other tensors in UpdateTask::others.
enum class UpdateKind {
    gradient,       ///< others: weights and an optional factor
    moving_average, ///< others: x
    squares,        ///< others: x; averages x * x
    momentum,       ///< others: gradient, rates
    nesterov,       ///< others: gradient, rates; the result is not multiplied by the learning rate
    sgd,            ///< others: gradient, rates
    sgd_moment,     ///< others: gradient, moment, rates
    sgd_nesterov,   ///< others: gradient, moment, rates
    adaptive        ///< others: first, second, rates
};

/// An update of ops/optimizer.h. The source is the update's first input.
struct UpdateTask {
    UpdateKind kind = UpdateKind::sgd;
    ConstView source;
    ConstView others[2]; ///< tensors with the source's shape
    ConstView numbers;   ///< rates or factor, if any
    View destination;
    int count = 0; ///< number of `others`
    bool reads_numbers = false;
    float rate = 0.0f; ///< rate of an average or a moment
    float rest = 1.0f; ///< 1 - rate, for an average
    float epsilon = 0.0f, decay = 0.0f;
    float low = 0.0f, high = 0.0f, rescale = 1.0f; ///< for `gradient`
    /// For `gradient`: factors of the L1 and L2 regularization.
    float of_sign = 0.0f, of_weight = 0.0f;

    const char *kernel_name() const { return "update"; }
};

} // namespace mpscnn::cpu
