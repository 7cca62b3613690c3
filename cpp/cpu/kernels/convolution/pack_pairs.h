#pragma once

// Packs weights that are a tensor of the graph as pairs of bfloat16 numbers, in the order of gemm_pack(). The
// speed is limited by memory: 6 bytes for each weight.

#include "cpu/kernels/convolution/pack_task.h"
#include "cpu/kernels/convolution/pixel_epilogue.h"
#include "cpu/kernels/movement/conversion.h"

namespace mpscnn::cpu {
namespace {

struct PairPackPlan {
    std::int64_t panels; ///< panels of a group
    std::int64_t items;
};

template <class V> Prepared pair_pack_prepare(const PackTask &task, const Planning &planning) {
    const ConvolutionShape &shape = task.shape;
    const std::int64_t depth = shape.weights_per_output();
    PairPackPlan plan{panel_count<V>(shape.outputs / shape.groups), 1};
    if (planning.threads > 1)
        plan.items = clamped(shape.outputs * depth / min_packed, 1, shape.groups * plan.panels);
    const std::int64_t floats = task.is_adjoint ? 0 : V::width * depth;
    return planning.keep(plan, plan.items, static_cast<std::size_t>(floats) * sizeof(float));
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

/// Pack a panel of a data gradient's weights. The panel's outputs are the convolution's inputs, which are
/// adjacent in the source. Two outputs of the convolution are a pair.
template <class V>
void pack_paired_adjoint(const PackTask &task, std::int64_t group, std::int64_t index, float *packed) {
    const std::int64_t outputs = task.source.batch / task.groups;
    const Range panel = panel_outputs<V>(task.source.channels, index);
    const std::int64_t pitch = round_up_to_width<V>(panel.size());
    for (std::int64_t tap = 0; tap < task.rows.count * task.columns.count; ++tap) {
        const float *first = tap_weights(task, group, tap) + panel.begin;
        for (std::int64_t output = 0; output < outputs; output += 2, packed += pitch) {
            const float *second = output + 1 < outputs ? first + task.source.image_stride : nullptr;
            for (std::int64_t i = 0; i < panel.size(); i += V::width) {
                const std::int64_t left = panel.size() - i;
                const auto other = second ? load_lanes<V>(second + i, left) : V::zero();
                V::store(packed + i, V::pair(load_lanes<V>(first + i, left), other));
            }
            first += 2 * task.source.image_stride;
        }
    }
}

template <class V>
void pair_pack_run(const PackTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &worker) {
    const auto &plan = prepared.plan_as<PairPackPlan>();
    const ConvolutionShape &shape = task.shape;
    if (begin == 0) pack_bias(task);
    for (std::int64_t item = begin; item < end; ++item) {
        const Range panels = part_of(shape.groups * plan.panels, plan.items, item);
        for (std::int64_t i = panels.begin; i < panels.end; ++i) {
            const std::int64_t group = i / plan.panels, panel = i % plan.panels;
            float *const to =
                task.destination.data + group * gemm_group_size<V>(shape) + panel_offset<V>(shape, panel);
            if (task.is_adjoint)
                pack_paired_adjoint<V>(task, group, panel, to);
            else
                pack_paired_panel<V>(task, group, panel, reinterpret_cast<float *>(worker.scratch), to);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
