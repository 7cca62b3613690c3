// Packs weights that are a tensor of the graph into the layout that kernels read.
//
// The speed is limited by memory: 8 bytes for each weight, or 16 for the data gradient if weights must be
// reordered. Kernels with few outputs or inputs are slower, because they only use parts of cache lines.

#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/convolution/pack_task.h"
#include "cpu/kernels/shared/copy_channels.h"

namespace mpscnn::cpu {
namespace {

struct PackPlan {
    PanelSplit split;
    bool reorders; ///< true if weights are first reordered to the layout of `shape`
};

/// Return true if each panel is packed separately.
inline bool packs_panels(const PackTask &task) { return task.shape.algorithm == Algorithm::gemm; }

template <class V> Prepared pack_prepare(const PackTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const ConvolutionShape &shape = task.shape;
    const bool has_gaps = from.batch > 1 && from.image_stride != image_floats(from);
    const std::int64_t floats = shape.outputs * shape.weights_per_output();
    PackPlan plan{{1, 1}, false};
    if (packs_panels(task))
        plan.split = split_panels<V>(shape, planning.threads);
    else
        plan.reorders = has_gaps || task.is_adjoint;
    return planning.keep(plan, plan.split.items,
                         plan.reorders ? static_cast<std::size_t>(floats) * sizeof(float) : 0);
}

/// Pack a panel of a data gradient's weights as gemm_pack_panel() would pack them after reorder_group().
template <class V>
void pack_adjoint(const PackTask &task, std::int64_t group, std::int64_t panel, float *packed) {
    pack_adjoint_panel<V, 1>(task, group, panel, packed,
                             [](const float *from, std::int64_t, float *to, std::int64_t count) {
                                 copy_channels<V>(from, to, count);
                                 for (std::int64_t i = count; i < round_up_to_width<V>(count); ++i)
                                     to[i] = 0.0f;
                             });
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
    const std::int64_t group_floats = task.source.batch / shape.groups * task.source.image_stride;
    pack_panels<V>(task, plan.split, begin, end, [&](std::int64_t group, std::int64_t panel, float *to) {
        if (task.is_adjoint)
            pack_adjoint<V>(task, group, panel, to);
        else
            gemm_pack_panel<V>(shape, task.source.data + group * group_floats, task.source.image_stride,
                               panel, to);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(PackTask, pack)
