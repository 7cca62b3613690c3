#pragma once

// The parts that the kernels for PackTask have in common.

#include "cpu/kernels/convolution/pack.h"
#include "cpu/kernels/movement/copy_channels.h"

namespace mpscnn::cpu {
namespace {

/// The minimum number of weights of a work item.
constexpr std::int64_t min_packed = 1 << 14;

/// Return the floats of one output of the source, which is [outputs][height][width][inputs of a group].
inline std::int64_t image_floats(const ConstView &from) { return from.height * from.width * from.channels; }

/// Return the address of the weights of tap number `tap` for the group's first output.
inline const float *tap_weights(const PackTask &task, std::int64_t group, std::int64_t tap) {
    const ConstView &from = task.source;
    const std::int64_t row = task.rows.first + tap / task.columns.count * task.rows.step,
                       column = task.columns.first + tap % task.columns.count * task.columns.step;
    return from.data + group * (from.batch / task.groups) * from.image_stride +
           (row * from.width + column) * from.channels;
}

/// Write the bias, or zeros if there is none, after the weights.
inline void pack_bias(const PackTask &task) {
    float *const bias = task.destination.data + task.weights_size;
    std::int64_t given = 0;
    if (task.has_bias) copy_floats(task.bias.data, bias, given = task.bias.channels);
    for (; given < task.bias_size; ++given) bias[given] = 0.0f;
}

} // namespace
} // namespace mpscnn::cpu
