#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// destination = source * mask; the mask is ops::Dropout's: `scale` where an element is kept, otherwise 0.
struct DropoutTask {
    ConstView source;
    View destination;
    std::uint64_t seed = 0;
    std::uint32_t last_kept = 0;
    float scale = 1.0f;
    bool varies_y = true, varies_x = true, varies_channels = true; ///< whether the mask does, along an axis
    bool round_to_half = false;

    const char *kernel_name() const { return "dropout"; }
};

} // namespace mpscnn::cpu
