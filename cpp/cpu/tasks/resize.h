#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

enum class ResizeKind { nearest, bilinear };

/// destination[y] is sampled at source position y * scale + offset (per axis), clamped to the source. Nearest
/// takes floor(position + bias): bias 0 truncates, 0.5 rounds half up.
struct ResizeTask {
    ResizeKind kind = ResizeKind::bilinear;
    ConstView source;
    View destination;
    double scale_y = 1, scale_x = 1, offset_y = 0, offset_x = 0, nearest_bias = 0;
    bool round_to_half = false;

    const char *kernel_name() const { return "resize"; }
};

} // namespace mpscnn::cpu
