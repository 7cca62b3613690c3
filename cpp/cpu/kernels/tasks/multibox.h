#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Chooses the anchors that count in a detector's loss. The destination's first channel is 1 where the anchor
/// has a box, otherwise 0; the second is 1 where its class counts. The source is the log-softmax of the
/// classes. others[0] is the labels: four numbers of the box, then the classes.
struct MultiboxChoiceTask {
    ConstView source, others[1];
    View destination;
    float negative_ratio = 0.0f;
    std::int64_t min_negatives = 0;

    const char *kernel_name() const { return "multibox choice"; }
};

/// Each anchor's loss, or the gradient with respect to the source, the prediction. Others are the labels, the
/// log-softmax of the classes, a MultiboxChoiceTask's result, and the sum of that over all anchors.
struct MultiboxTask {
    ConstView source, others[4];
    View destination;
    float delta = 0.0f, box_weight = 0.0f;
    bool is_gradient = false;

    const char *kernel_name() const { return "multibox"; }
};

} // namespace mpscnn::cpu
