#pragma once

// The source pixels that a pooling window reads.

#include "cpu/kernels/shared/window_taps.h"

namespace mpscnn::cpu {
namespace {

/// The taps of one output position along one axis.
struct PoolingTaps {
    std::int64_t first, count; ///< taps inside the source, `dilation` apart
    /// Numbers of taps that are clamped to the first or the last source position.
    std::int64_t before = 0, after = 0;
    std::int64_t counted; ///< number of taps that an average divides by
    bool outside;         ///< true if some tap is outside the source

    MPSCNN_INLINE PoolingTaps(const WindowAxis &window, std::int64_t output, std::int64_t size,
                              std::int64_t counted_before, std::int64_t counted_after, bool clamps) {
        const Range inside = taps_within(window, output, 0, size);
        first = window_begin(window, output) + inside.begin * window.dilation;
        count = inside.size();
        if (clamps) before = inside.begin, after = window.kernel - inside.end;
        counted = taps_within(window, output, -counted_before, size + counted_after).size();
        outside = count < window.kernel;
    }

    /// Return a range of source positions that contains all that the window reads. Neither end decreases from
    /// one output to the next. The first and the last tap inside the source do not have this property if the
    /// dilation exceeds the stride.
    static MPSCNN_INLINE Range reach(const WindowAxis &window, std::int64_t output, std::int64_t size) {
        const std::int64_t start = window_begin(window, output);
        const std::int64_t last = start + (window.kernel - 1) * window.dilation;
        return {clamped(start, 0, size - 1), clamped(last, 0, size - 1) + 1};
    }
};

MPSCNN_INLINE PoolingTaps vertical_taps(const PoolingTask &task, std::int64_t y) {
    return {task.vertical,        y,
            task.source.height,   task.counted_before_y,
            task.counted_after_y, task.edge == EdgeRule::clamp && task.kind != PoolingKind::average};
}

MPSCNN_INLINE PoolingTaps horizontal_taps(const PoolingTask &task, std::int64_t x) {
    return {task.horizontal,      x,
            task.source.width,    task.counted_before_x,
            task.counted_after_x, task.edge == EdgeRule::clamp && task.kind != PoolingKind::average};
}

} // namespace
} // namespace mpscnn::cpu
