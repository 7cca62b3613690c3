#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

enum class ReductionKind { max, min, sum };

/// Which axis is reduced to one element.
enum class ReductionAxis { height, width, channels };

/// Maximum, minimum, or factor times the sum along an axis. NaN where any element is one.
struct ReductionTask {
    ReductionKind kind = ReductionKind::max;
    ReductionAxis axis = ReductionAxis::channels;
    ConstView source;
    View destination;
    float factor = 1.0f;  ///< of sums
    float divisor = 1.0f; ///< of sums
    bool round_to_half = false;

    const char *kernel_name() const { return "reduction"; }
};

/// The first channel of each pixel that holds the maximum (minimum), as a float; the first NaN if any.
struct ArgumentTask {
    bool of_maximum = true;
    ConstView source;
    View destination;
    bool round_to_half = false;

    const char *kernel_name() const { return "argument"; }
};

/// Sum over the channels of source * second, divided, if asked, by the number of channels whose `second` is
/// not zero (0 where there is none). `second` has the source's extents or 1 in batch, height and width.
struct WeightedReductionTask {
    ConstView source, second;
    View destination;
    bool divides = false;
    bool round_to_half = false;

    const char *kernel_name() const { return "weighted reduction"; }
};

} // namespace mpscnn::cpu
