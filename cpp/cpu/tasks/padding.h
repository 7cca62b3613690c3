#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// Copies the source into the destination at (top, left, front) and fills the rest with `value`. Also the
/// plain copy between strides (all zero). Negative positions crop.
struct PaddingTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    float value = 0.0f;

    const char *kernel_name() const { return "copy"; }
};

} // namespace mpscnn::cpu
