#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Which anchors count in a detector's loss: the first channel of the destination is 1 where the anchor has a
/// box, else 0; the second where its class counts. The source has the logarithms of the classes'
/// probabilities, others[0] the labels, four numbers of the box and then the classes.
struct MultiboxChoiceTask {
    ConstView source, others[1];
    View destination;
    float negative_ratio = 0.0f;
    std::int64_t min_negatives = 0;

    const char *kernel_name() const { return "multibox choice"; }
};

/// Each anchor's loss, or the gradient of the source, the prediction. Others: labels, logarithms of the
/// classes' probabilities, a MultiboxChoiceTask's result and the sum of that over all anchors.
struct MultiboxTask {
    ConstView source, others[4];
    View destination;
    float delta = 0.0f, box_weight = 0.0f;
    bool is_gradient = false;

    const char *kernel_name() const { return "multibox"; }
};

} // namespace mpscnn::cpu
