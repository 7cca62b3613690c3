#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Transposes the source's axes after the batch. Elements are floats or bytes. The rows of the source may
/// stand for several axes.
struct TransposeTask {
    static constexpr int max_axes = 5;

    ConstView source;
    View destination;
    int count = 0;                       ///< number of axes after the batch
    std::int64_t extents[max_axes] = {}; ///< the source's extents
    /// For each axis of the destination: the number of the source's axis, from 0.
    int axes[max_axes] = {};
    /// If not 0, channels are shuffled instead: channel k * groups + g of the destination is channel g *
    /// (channels / groups) + k of the source.
    std::int64_t groups = 0;

    const char *kernel_name() const { return "transpose"; }
};

/// Interleaves the channels of two sources.
struct InterleaveTask {
    ConstView source, second;
    View destination;

    const char *kernel_name() const { return "interleave"; }
};

/// The positions of one axis of the source that a TakeTask copies, for each position i of the destination.
struct TakenPositions {
    const std::int64_t *indices = nullptr; ///< the positions; null: they are first + i * step
    std::int64_t first = 0, step = 1;
    std::int64_t period = 0; ///< if not 0, i modulo this period takes the place of i
};

/// Takes any rows, columns and channels of the source (gather). Elements are floats or bytes.
struct TakeTask {
    ConstView source;
    View destination;
    TakenPositions rows, columns, channels;

    const char *kernel_name() const { return "take"; }
};

/// Takes elements along one axis of the source by the indices in `second` (take_along_axis). Along other axes
/// the source and the indices may have extent 1.
struct TakeAlongTask {
    enum class Axis { rows, columns, channels };

    ConstView source, second;
    View destination;
    Axis axis = Axis::channels;

    const char *kernel_name() const { return "take along"; }
};

/// The gradient of a TakeTask's source along one axis. Position i of this task's source is added to position
/// indices[i] of its destination, in ascending order of i.
struct TakeGradientTask {
    enum class Axis { rows, columns, channels };

    ConstView source;
    View destination;
    Axis axis = Axis::channels;
    const std::int64_t *indices = nullptr;

    const char *kernel_name() const { return "take gradient"; }
};

/// Writes the same values to each image of the destination. The source is not read. Elements are floats or
/// bytes.
struct ConstantTask {
    ConstView source;
    View destination;
    const void *values = nullptr; ///< one value for each element of the destination's image

    const char *kernel_name() const { return "constant"; }
};

} // namespace mpscnn::cpu
