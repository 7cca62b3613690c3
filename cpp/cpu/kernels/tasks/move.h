#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Transposes the source's axes after the batch. One row axis may stand for several axes. Elements are floats
/// or bytes.
struct TransposeTask {
    static constexpr int max_axes = 5;

    ConstView source;
    View destination;
    int count = 0;                       ///< number of axes after the batch
    std::int64_t extents[max_axes] = {}; ///< the source's extents
    /// For each axis of the destination, the source's axis, counted from 0.
    int axes[max_axes] = {};
    /// If not 0, channels are shuffled instead: channel k * groups + g comes from g * (channels / groups) +
    /// k.
    std::int64_t groups = 0;

    const char *kernel_name() const { return "transpose"; }
};

/// Alternates the channels of two sources.
struct InterleaveTask {
    ConstView source, second;
    View destination;

    const char *kernel_name() const { return "interleave"; }
};

/// The positions of a source's axis that are taken.
struct TakenPositions {
    const std::int64_t *indices = nullptr; ///< null: positions are first + i * step, repeated with a period
    std::int64_t first = 0, step = 1;
    std::int64_t period = 0; ///< period of i; 0: none
};

/// Takes rows, columns and channels of the source at any positions. Elements are floats or bytes.
struct TakeTask {
    ConstView source;
    View destination;
    TakenPositions rows, columns, channels;

    const char *kernel_name() const { return "take"; }
};

/// Gradient of a TakeTask's source along one axis. Position i of this task's source is added to position
/// indices[i] of its destination. Positions are added in ascending order of i.
struct TakeGradientTask {
    enum class Axis { rows, columns, channels };

    ConstView source;
    View destination;
    Axis axis = Axis::channels;
    const std::int64_t *indices = nullptr;

    const char *kernel_name() const { return "take gradient"; }
};

/// Writes the same values, without gaps, to each image of the destination. The source is not read. Elements
/// are floats or bytes.
struct ConstantTask {
    ConstView source;
    View destination;
    const void *values = nullptr; ///< one value for each element of the destination's image

    const char *kernel_name() const { return "constant"; }
};

} // namespace mpscnn::cpu
