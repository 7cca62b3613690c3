#pragma once

// All kernels of one instruction set. Included by table_<set>.cpp only; see simd.h.

#include "cpu/convolution_depthwise.h"
#include "cpu/convolution_gemm.h"
#include "cpu/elementwise.h"
#include "cpu/half_convert.h"
#include "cpu/kernels.h"
#include "cpu/padding.h"
#include "cpu/pooling.h"
#include "cpu/resize.h"
#include "cpu/softmax.h"

namespace mpscnn::cpu {
namespace {

template <class V> std::size_t packed_size(const ConvolutionShape &shape) {
    return shape.depthwise ? depthwise_packed_size<V>(shape) : gemm_packed_size<V>(shape);
}

template <class V> void pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    shape.depthwise ? depthwise_pack<V>(shape, weights, packed) : gemm_pack<V>(shape, weights, packed);
}

template <class V> Work convolution_work(const ConvolutionTask &task, int threads) {
    return task.packed->depthwise ? depthwise_work<V>(task, threads) : gemm_work<V>(task, threads);
}

template <class V>
void convolution_run(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
                     std::byte *scratch) {
    task.packed->depthwise ? depthwise_run<V>(task, threads, begin, end, scratch)
                           : gemm_run<V>(task, threads, begin, end, scratch);
}

template <class V> constexpr KernelTable make_table(const char *name) {
    return {.name = name,
            .vector_width = V::width,
            .fused_multiply_add = V::fused_multiply_add,
            .packed_size = packed_size<V>,
            .pack = pack<V>,
            .convolution_work = convolution_work<V>,
            .convolution = convolution_run<V>,
            .pooling_work = pooling_work<V>,
            .pooling = pooling_run<V>,
            .addition_work = addition_work<V>,
            .addition = addition_run<V>,
            .affine_work = affine_work<V>,
            .affine = affine_run<V>,
            .softmax_work = softmax_work<V>,
            .softmax = softmax_run<V>,
            .resize_work = resize_work<V>,
            .resize = resize_run<V>,
            .padding_work = padding_work<V>,
            .padding = padding_run<V>,
            .halves_from_floats = halves_from_floats_run<V>,
            .floats_from_halves = floats_from_halves_run<V>};
}

} // namespace
} // namespace mpscnn::cpu
