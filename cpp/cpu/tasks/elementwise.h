#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// destination = epilogue(source * scale + shift), scale and shift per channel (both null: 1 and 0). Serves
/// neurons that stand alone, batch normalization that could not be folded, copies with other strides,
/// rounding.
struct AffineTask {
    ConstView source;
    View destination;
    const float *scale = nullptr, *shift = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "affine"; }
};

} // namespace mpscnn::cpu
