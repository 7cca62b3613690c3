#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

enum class ResizeKind { nearest, bilinear };

/// Where the samples of an axis lie: output o at source position (o + centre) * numerator / denominator +
/// offset.
struct ResizePositions {
    double numerator = 1, denominator = 1, centre = 0, offset = 0;
};

/// Samples outside the source read the nearest pixel, or zero. Nearest takes floor(position + bias): bias 0
/// truncates, 0.5 rounds half up.
struct ResizeTask {
    ResizeKind kind = ResizeKind::bilinear;
    ConstView source;
    View destination;
    ResizePositions vertical{}, horizontal{};
    double nearest_bias = 0;
    bool zero_outside = false, round_to_half = false;
    bool past_caches = false; ///< the destination is more than they keep until it is read

    const char *kernel_name() const { return "resize"; }
};

} // namespace mpscnn::cpu
