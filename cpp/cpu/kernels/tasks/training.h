#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Sums over the axes along which the destination has one element and the source has more.
struct SumTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "sum"; }
};

} // namespace mpscnn::cpu
