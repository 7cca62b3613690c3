// Packs weights that are a tensor of the graph into the layout that kernels read.
//
// The speed is limited by memory: 8 bytes for each weight, or 16 for the data gradient if weights must be
// reordered. Kernels with few outputs or inputs are slower, because they only use parts of cache lines.

#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/convolution/pack_task.h"
#include "cpu/kernels/movement/copy_channels.h"

namespace mpscnn::cpu {
namespace {

struct PackPlan {
    std::int64_t panels; ///< panels of a group
    std::int64_t items;
    bool reorders; ///< true if weights are first reordered to the layout of `shape`
};

/// Return true if each panel is packed separately.
inline bool packs_panels(const PackTask &task) { return task.shape.algorithm == Algorithm::gemm; }

template <class V> Prepared pack_prepare(const PackTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const ConvolutionShape &shape = task.shape;
    const bool has_gaps = from.batch > 1 && from.image_stride != image_floats(from);
    const std::int64_t floats = shape.outputs * shape.weights_per_output();
    PackPlan plan{1, 1, false};
    if (packs_panels(task)) {
        plan.panels = panel_count<V>(shape.outputs / shape.groups);
        if (planning.threads > 1) plan.items = clamped(floats / min_packed, 1, shape.groups * plan.panels);
    } else {
        plan.reorders = has_gaps || task.is_adjoint;
    }
    return planning.keep(plan, plan.items,
                         plan.reorders ? static_cast<std::size_t>(floats) * sizeof(float) : 0);
}

/// Pack a panel of a data gradient's weights as gemm_pack_panel() would pack them after reorder_group(). The
/// panel's outputs are the convolution's inputs, which are adjacent in the source.
template <class V>
void pack_adjoint_panel(const PackTask &task, std::int64_t group, std::int64_t index, float *packed) {
    const std::int64_t outputs = task.source.batch / task.groups;
    const Range panel = panel_outputs<V>(task.source.channels, index);
    const std::int64_t pitch = round_up_to_width<V>(panel.size());
    for (std::int64_t tap = 0; tap < task.rows.count * task.columns.count; ++tap) {
        const float *from = tap_weights(task, group, tap) + panel.begin;
        for (std::int64_t output = 0; output < outputs; ++output, packed += pitch) {
            copy_channels<V>(from, packed, panel.size());
            for (std::int64_t i = panel.size(); i < pitch; ++i) packed[i] = 0.0f;
            from += task.source.image_stride;
        }
    }
}

/// Reorder a group's weights from [outputs][height][width][inputs] to [inputs][rows][columns][outputs].
inline void reorder_group(const PackTask &task, std::int64_t group, float *to) {
    const std::int64_t outputs = task.source.batch / task.groups, inputs = task.source.channels;
    const std::int64_t taps = task.rows.count * task.columns.count;
    constexpr std::int64_t block = 16; // outputs whose cache lines stay in L1 for all inputs
    for (std::int64_t begin = 0; begin < outputs; begin += block) {
        const std::int64_t end = min(begin + block, outputs);
        for (std::int64_t tap = 0; tap < taps; ++tap) {
            const float *source = tap_weights(task, group, tap);
            for (std::int64_t input = 0; input < inputs; ++input)
                for (std::int64_t output = begin; output < end; ++output)
                    to[(input * taps + tap) * outputs + output] =
                        source[output * task.source.image_stride + input];
        }
    }
}

/// Write all weights in the order of `shape`.
inline void reorder(const PackTask &task, float *to) {
    const std::int64_t floats = task.shape.outputs * task.shape.weights_per_output();
    if (task.is_adjoint) {
        for (std::int64_t group = 0; group < task.groups; ++group)
            reorder_group(task, group, to + group * (floats / task.groups));
        return;
    }
    const std::int64_t depth = image_floats(task.source);
    for (std::int64_t output = 0; output < task.source.batch; ++output)
        copy_floats(task.source.data + output * task.source.image_stride, to + output * depth, depth);
}

template <class V>
void pack_run(const PackTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
              Worker &worker) {
    const auto &plan = prepared.plan_as<PackPlan>();
    const ConvolutionShape &shape = task.shape;
    float *const packed = task.destination.data;
    if (begin == 0) pack_bias(task);
    if (!packs_panels(task)) {
        const float *weights = task.source.data;
        if (plan.reorders) {
            float *const ordered = reinterpret_cast<float *>(worker.scratch);
            reorder(task, ordered);
            weights = ordered;
        }
        convolution_pack<V>(shape, weights, packed);
        if (shape.algorithm == Algorithm::winograd)
            gemm_pack<V>(shape, weights, packed + task.weights_size + task.bias_size);
        return;
    }
    const std::int64_t outputs = task.source.batch / shape.groups;
    for (std::int64_t item = begin; item < end; ++item) {
        const Range panels = part_of(shape.groups * plan.panels, plan.items, item);
        for (std::int64_t i = panels.begin; i < panels.end; ++i) {
            const std::int64_t group = i / plan.panels, panel = i % plan.panels;
            float *const to = packed + group * gemm_group_size<V>(shape) + panel_offset<V>(shape, panel);
            if (task.is_adjoint)
                pack_adjoint_panel<V>(task, group, panel, to);
            else
                gemm_pack_panel<V>(shape, task.source.data + group * outputs * task.source.image_stride,
                                   task.source.image_stride, panel, to);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(PackTask, pack)
