#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

enum class PaddingMode { constant, clamp, mirror, mirror_with_edge };

/// Copies the source into the destination at (top, left, front) and fills the rest as the mode says. Also the
/// plain copy between strides (all zero). Negative positions crop.
struct PaddingTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    PaddingMode mode = PaddingMode::constant;
    float value = 0.0f;
    const float *values = nullptr; ///< instead of `value`, one for each channel of the destination

    const char *kernel_name() const { return "copy"; }
};

} // namespace mpscnn::cpu
