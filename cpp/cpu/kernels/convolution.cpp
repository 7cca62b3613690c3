#include "cpu/kernels/convolution.h"
#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution_chain.h"
#include "cpu/kernels/copy_channels.h"
#include "cpu/kernels/interleaved_convolution.h"
#include "cpu/kernels/pooled_convolution.h"
#include "cpu/kernels/subpixel.h"

namespace mpscnn::cpu {
namespace {

template <class V> Prepared pack_prepare(const PackTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t depth = from.height * from.width * from.channels;
    // Packing reads weights without gaps.
    const bool has_gaps = from.batch > 1 && from.image_stride != depth;
    return planning.keep(depth, 1,
                         has_gaps ? static_cast<std::size_t>(from.batch * depth) * sizeof(float) : 0);
}

template <class V>
void pack_run(const PackTask &task, const Prepared &prepared, std::int64_t, std::int64_t, Worker &worker) {
    const ConstView &from = task.source;
    const auto depth = prepared.plan_as<std::int64_t>();
    const float *weights = from.data;
    if (prepared.scratch_bytes > 0) {
        float *const joined = reinterpret_cast<float *>(worker.scratch);
        for (std::int64_t output = 0; output < from.batch; ++output)
            copy_floats(from.data + output * from.image_stride, joined + output * depth, depth);
        weights = joined;
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
