#pragma once

// Packs weights that are a tensor of the graph as pairs of bfloat16 numbers, in the order of gemm_pack(). The
// speed is limited by memory: 6 bytes for each weight.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/convolution/pack_task.h"
#include "cpu/kernels/shared/copy_channels.h"

namespace mpscnn::cpu {
namespace {

template <class V> Prepared pair_pack_prepare(const PackTask &task, const Planning &planning) {
    const PanelSplit split = split_panels<V>(task.shape, planning.threads);
    const std::int64_t floats = task.is_adjoint ? 0 : V::width * task.shape.weights_per_output();
    return planning.keep(split, split.items, static_cast<std::size_t>(floats) * sizeof(float));
}

/// Pack a panel of a group. `rows` is memory for the paired weights of a vector of outputs.
template <class V>
void pack_paired_panel(const PackTask &task, std::int64_t group, std::int64_t index, float *rows,
                       float *packed) {
    const ConvolutionShape &shape = task.shape;
    const std::int64_t depth = shape.weights_per_output(), outputs = shape.outputs / shape.groups;
    const std::int64_t taps = shape.kernel_height * shape.kernel_width;
    const std::int64_t inputs = image_floats(task.source) / taps;
    // With an even number of inputs, all taps of an output are paired in one call.
    const std::int64_t pieces = inputs % 2 == 0 ? 1 : taps;
    const std::int64_t length = image_floats(task.source) / pieces, paired = 2 * depth / pieces;
    const Range panel = panel_outputs<V>(outputs, index);
    const std::int64_t pitch = round_up_to_width<V>(panel.size());
    for (std::int64_t first = 0; first < panel.size(); first += V::width) {
        const std::int64_t count = min(V::width, panel.size() - first);
        const float *weights =
            task.source.data + (group * outputs + panel.begin + first) * task.source.image_stride;
        for (std::int64_t row = 0; row < count; ++row, weights += task.source.image_stride) {
            auto *const to = reinterpret_cast<Bfloat16 *>(rows + row * depth);
            for (std::int64_t piece = 0; piece < pieces; ++piece)
                convert_elements<V>(weights + piece * length, to + piece * paired, length, paired);
        }
        pack_vector<V>(rows, depth, depth, count, packed + first, pitch);
    }
}

/// Pack a panel of a data gradient's weights. Two outputs of the convolution are a pair.
template <class V>
void pack_paired_adjoint(const PackTask &task, std::int64_t group, std::int64_t panel, float *packed) {
    const auto pack_row = [&](const float *first, std::int64_t outputs, float *to, std::int64_t count) {
        const float *second = outputs == 2 ? first + task.source.image_stride : nullptr;
        for (std::int64_t i = 0; i < count; i += V::width) {
            const auto other = second ? load_lanes<V>(second + i, count - i) : V::zero();
            V::store(to + i, V::pair(load_lanes<V>(first + i, count - i), other));
        }
    };
    pack_adjoint_panel<V, 2>(task, group, panel, packed, pack_row);
}

template <class V>
void pair_pack_run(const PackTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &worker) {
    if (begin == 0) pack_bias(task);
    const auto &split = prepared.plan_as<PanelSplit>();
    pack_panels<V>(task, split, begin, end, [&](std::int64_t group, std::int64_t panel, float *to) {
        if (task.is_adjoint)
            pack_paired_adjoint<V>(task, group, panel, to);
        else
            pack_paired_panel<V>(task, group, panel, reinterpret_cast<float *>(worker.scratch), to);
    });
}

} // namespace
} // namespace mpscnn::cpu
