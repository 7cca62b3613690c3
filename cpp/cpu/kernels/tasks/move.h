#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// The source with its axes after the batch in another order; rows may count several of them. Of floats or
/// bytes.
struct TransposeTask {
    static constexpr int max_axes = 5;

    ConstView source;
    View destination;
    int count = 0;                       ///< of axes after the batch
    std::int64_t extents[max_axes] = {}; ///< of the source
    int axes[max_axes] = {};             ///< the source's axis, from 0, for each of the destination
    /// Instead of an order of axes: channel k * groups + g comes from g * (channels / groups) + k.
    std::int64_t groups = 0;

    const char *kernel_name() const { return "transpose"; }
};

/// The channels of two sources alternately.
struct InterleaveTask {
    ConstView source, second;
    View destination;

    const char *kernel_name() const { return "interleave"; }
};

/// Which positions of a source's axis are taken.
struct TakenPositions {
    const std::int64_t *indices = nullptr; ///< or null: first + i * step, in a period
    std::int64_t first = 0, step = 1;
    std::int64_t period = 0; ///< of i; 0: none
};

/// Rows, columns and channels of the source at any positions. Of floats or bytes.
struct TakeTask {
    ConstView source;
    View destination;
    TakenPositions rows, columns, channels;

    const char *kernel_name() const { return "take"; }
};

/// Gradient of a TakeTask's source along one axis: each position of the destination gets the sum of the
/// source's at which `indices` name it, in their order.
struct TakeGradientTask {
    enum class Axis { rows, columns, channels };

    ConstView source;
    View destination;
    Axis axis = Axis::channels;
    const std::int64_t *indices = nullptr;

    const char *kernel_name() const { return "take gradient"; }
};

/// The same values, without gaps, for each image of the destination. Nothing of the source is read. Of floats
/// or bytes.
struct ConstantTask {
    ConstView source;
    View destination;
    const void *values = nullptr; ///< of the destination's elements

    const char *kernel_name() const { return "constant"; }
};

} // namespace mpscnn::cpu
