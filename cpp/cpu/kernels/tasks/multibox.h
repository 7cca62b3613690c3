#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Chooses the anchors that count in a detector's loss. The source is the log-softmax of the classes.
/// others[0] are the labels: four numbers of the box, then the classes. The first channel of the destination
/// is 1 for anchors that have a box, otherwise 0. The second is 1 for anchors whose class counts.
struct MultiboxChoiceTask {
    ConstView source, others[1];
    View destination;
    float negative_ratio = 0.0f;
    std::int64_t min_negatives = 0;

    const char *kernel_name() const { return "multibox choice"; }
};

/// The loss of each anchor, or its gradient with respect to the source, which is the prediction. `others`
/// has the labels, the log-softmax of the classes, the result of a MultiboxChoiceTask, and the sum of this
/// result over all anchors.
struct MultiboxTask {
    ConstView source, others[4];
    View destination;
    float delta = 0.0f, box_weight = 0.0f;
    bool is_gradient = false;

    const char *kernel_name() const { return "multibox"; }
};

} // namespace mpscnn::cpu
