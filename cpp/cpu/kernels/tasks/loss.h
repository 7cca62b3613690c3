#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// The elements' losses, or their gradients, that kernels tell apart: those of ops::LossKind.
enum class ElementLoss {
    absolute,
    squared,
    softmax, ///< the source is the logarithm of its softmax, or for gradients the softmax
    sigmoid,
    categorical,
    hinge,
    huber,
    cosine,
    log,
    kullback_leibler,
    label,  ///< the label alone
    counted ///< 1 where the weight is not 0
};

/// Each element's loss, or its gradient with respect to the prediction, times factor and, if any, its weight.
struct LossTask {
    ElementLoss kind = ElementLoss::squared;
    ConstView source, labels, weights; ///< of one shape; without weights the labels again
    View destination;
    bool is_gradient = false, has_weights = false;
    float factor = 1.0f;
    float kept = 1.0f, share = 0.0f; ///< a label t counts as t * kept + share
    float epsilon = 0.0f, delta = 0.0f;
    float start = 0.0f; ///< of cosine: what each element adds to its loss

    const char *kernel_name() const { return "loss"; }
};

} // namespace mpscnn::cpu
