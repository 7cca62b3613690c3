#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// Softmax over the channels of each pixel, or its logarithm, shifted by the maximum.
struct SoftmaxTask {
    ConstView source;
    View destination;
    bool round_to_half = false;
    bool logarithm = false;

    const char *kernel_name() const { return "softmax"; }
};

} // namespace mpscnn::cpu
