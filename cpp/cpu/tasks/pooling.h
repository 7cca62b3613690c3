#pragma once

#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

enum class PoolingKind { max, average, l2_norm };

/// What maxima and norms take from taps outside the source; averages count them or not, as told.
enum class PoolingEdge {
    exclude, ///< nothing: no maximum comes from there
    zero,
    clamp ///< the nearest pixel, once for each tap
};

struct PoolingTask {
    PoolingKind kind = PoolingKind::max;
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    PoolingEdge edge = PoolingEdge::exclude;
    /// Divisor of the average: taps inside the source widened by `counted_*` pixels on each side (0: only
    /// real pixels count; the padding: zero padding counts as well). No tap counts: the result is 0.
    std::int64_t counted_before_y = 0, counted_after_y = 0, counted_before_x = 0, counted_after_x = 0;
    Epilogue epilogue{};

    const char *kernel_name() const { return "pooling"; }
};

} // namespace mpscnn::cpu
