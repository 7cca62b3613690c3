#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// Copies between tensors of floats and of bfloat16 numbers, which are rounded as core/bfloat16.h says.
/// Channels that the destination has besides become zero.
struct ConversionTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "conversion"; }
};

} // namespace mpscnn::cpu
