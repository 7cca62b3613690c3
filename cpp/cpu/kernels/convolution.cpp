#include "cpu/kernels/convolution.h"
#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution_chain.h"
#include "cpu/kernels/copy_channels.h"
#include "cpu/kernels/interleaved_convolution.h"
#include "cpu/kernels/pooled_convolution.h"
#include "cpu/kernels/subpixel.h"

namespace mpscnn::cpu {
namespace {

/// Floats of the weights as they are packed.
inline std::int64_t ordered_floats(const PackTask &task) {
    const ConstView &from = task.source;
    if (!task.is_adjoint) return from.batch * from.height * from.width * from.channels;
    return from.batch * task.rows.count * task.columns.count * from.channels;
}

template <class V> Prepared pack_prepare(const PackTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t depth = from.height * from.width * from.channels;
    // Packing reads weights without gaps.
    const bool has_gaps = from.batch > 1 && from.image_stride != depth;
    const bool reorders = has_gaps || task.is_adjoint;
    const auto bytes = static_cast<std::size_t>(ordered_floats(task)) * sizeof(float);
    return planning.keep(depth, 1, reorders ? bytes : 0);
}

/// [inputs][rows][columns][outputs] of a group from its part of [outputs][height][width][inputs].
inline void reorder_group(const PackTask &task, const float *from, float *to) {
    const std::int64_t outputs = task.source.batch / task.groups, inputs = task.source.channels;
    const std::int64_t taps = task.rows.count * task.columns.count;
    constexpr std::int64_t block = 16; // outputs, whose lines stay in L1 while inputs pass
    for (std::int64_t begin = 0; begin < outputs; begin += block) {
        const std::int64_t end = min(begin + block, outputs);
        for (std::int64_t tap = 0; tap < taps; ++tap) {
            const std::int64_t row = task.rows.first + tap / task.columns.count * task.rows.step,
                               column = task.columns.first + tap % task.columns.count * task.columns.step;
            const float *source = from + (row * task.source.width + column) * inputs;
            for (std::int64_t input = 0; input < inputs; ++input)
                for (std::int64_t output = begin; output < end; ++output)
                    to[(input * taps + tap) * outputs + output] =
                        source[output * task.source.image_stride + input];
        }
    }
}

inline void reorder_adjoint(const PackTask &task, float *to) {
    const std::int64_t outputs = task.source.batch / task.groups;
    const std::int64_t floats = ordered_floats(task) / task.groups;
    for (std::int64_t group = 0; group < task.groups; ++group)
        reorder_group(task, task.source.data + group * outputs * task.source.image_stride,
                      to + group * floats);
}

template <class V>
void pack_run(const PackTask &task, const Prepared &prepared, std::int64_t, std::int64_t, Worker &worker) {
    const ConstView &from = task.source;
    const auto depth = prepared.plan_as<std::int64_t>();
    const float *weights = from.data;
    if (prepared.scratch_bytes > 0) {
        float *const ordered = reinterpret_cast<float *>(worker.scratch);
        if (task.is_adjoint)
            reorder_adjoint(task, ordered);
        else
            for (std::int64_t output = 0; output < from.batch; ++output)
                copy_floats(from.data + output * from.image_stride, ordered + output * depth, depth);
        weights = ordered;
    }
    float *const packed = task.destination.data;
    convolution_pack<V>(task.shape, weights, packed);
    float *const bias = packed + task.weights_size;
    std::int64_t given = 0;
    if (task.has_bias) copy_floats(task.bias.data, bias, given = task.bias.channels);
    for (; given < task.destination.channels - task.weights_size; ++given) bias[given] = 0.0f;
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(PackTask, pack)
MPSCNN_KERNEL(ChainTask, chain)
MPSCNN_KERNEL(PooledConvolutionTask, pooled_convolution)
MPSCNN_KERNEL(InterleavedConvolutionTask, interleaved)
MPSCNN_KERNEL(SubpixelConvolutionTask, subpixel)
MPSCNN_KERNEL(DepthToSpaceTask, depth_to_space)

void mpscnn::cpu::MPSCNN_SET::get(Kernel<ConvolutionTask> &kernel) {
    kernel = {convolution_prepare<Simd>, convolution_run<Simd>};
}

void mpscnn::cpu::MPSCNN_SET::get(ConvolutionPacking &packing) {
    packing = {convolution_packed_size<Simd>, convolution_pack<Simd>};
}
