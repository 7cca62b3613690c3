#pragma once

// The parts that the kernels for PackTask have in common.

#include "cpu/kernels/convolution/pack.h"
#include "cpu/kernels/shared/copy_channels.h"

namespace mpscnn::cpu {
namespace {

/// The minimum number of weights of a work item.
constexpr std::int64_t min_packed = 1 << 14;

/// Return the number of floats of one output of the source, which is [outputs][height][width][inputs of a
/// group].
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

/// The panels of all groups, divided into work items.
struct PanelSplit {
    std::int64_t panels; ///< panels of a group
    std::int64_t items;
};

template <class V> PanelSplit split_panels(const ConvolutionShape &shape, int threads) {
    PanelSplit split{panel_count<V>(shape.outputs / shape.groups), 1};
    if (threads > 1)
        split.items =
            clamped(shape.outputs * shape.weights_per_output() / min_packed, 1, shape.groups * split.panels);
    return split;
}

/// Call pack(group, panel, to) for each panel of the items. `to` is the panel's place in the destination.
template <class V, class Pack>
void pack_panels(const PackTask &task, const PanelSplit &split, std::int64_t begin, std::int64_t end,
                 Pack pack) {
    const ConvolutionShape &shape = task.shape;
    for (std::int64_t item = begin; item < end; ++item) {
        const Range panels = part_of(shape.groups * split.panels, split.items, item);
        for (std::int64_t i = panels.begin; i < panels.end; ++i) {
            const std::int64_t group = i / split.panels, panel = i % split.panels;
            pack(group, panel,
                 task.destination.data + group * gemm_group_size<V>(shape) + panel_offset<V>(shape, panel));
        }
    }
}

/// Pack a panel of a data gradient's weights. The panel's outputs are the convolution's inputs, which are
/// adjacent in the source. pack_row(from, outputs, to, count) packs `count` weights of each of the next
/// `outputs` outputs of the convolution to one row. There are `row_outputs` of them, or fewer at the end.
template <class V, std::int64_t row_outputs, class PackRow>
void pack_adjoint_panel(const PackTask &task, std::int64_t group, std::int64_t index, float *packed,
                        PackRow pack_row) {
    const std::int64_t outputs = task.source.batch / task.groups;
    const Range panel = panel_outputs<V>(task.source.channels, index);
    const std::int64_t pitch = round_up_to_width<V>(panel.size());
    for (std::int64_t tap = 0; tap < task.rows.count * task.columns.count; ++tap) {
        const float *from = tap_weights(task, group, tap) + panel.begin;
        for (std::int64_t output = 0; output < outputs; output += row_outputs, packed += pitch) {
            pack_row(from, min(row_outputs, outputs - output), packed, panel.size());
            from += row_outputs * task.source.image_stride;
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
