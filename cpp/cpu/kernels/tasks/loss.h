#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// The kinds of elementwise losses and their gradients. They implement ops::LossKind.
enum class ElementLoss {
    absolute,
    squared,
    softmax, ///< the source is the log-softmax; for gradients it is the softmax
    sigmoid,
    categorical,
    hinge,
    huber,
    cosine,
    log,
    kullback_leibler,
    label,  ///< the label itself
    counted ///< 1 where the weight is not 0
};

/// The loss of each element, or its gradient with respect to the prediction, times `factor` and the optional
/// weight.
struct LossTask {
    ElementLoss kind = ElementLoss::squared;
    /// All tensors have the same shape. Without weights, `weights` is the same tensor as `labels`.
    ConstView source, labels, weights;
    View destination;
    bool is_gradient = false, has_weights = false;
    float factor = 1.0f;
    float kept = 1.0f, share = 0.0f; ///< a label t is replaced by t * kept + share
    float epsilon = 0.0f, delta = 0.0f;
    float start = 0.0f; ///< for the cosine loss, which is start - prediction * label for each element

    const char *kernel_name() const { return "loss"; }
};

} // namespace mpscnn::cpu
