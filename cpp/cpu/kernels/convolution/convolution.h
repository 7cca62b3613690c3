#pragma once

// All convolutions. The algorithm of the packed weights selects the kernel: depthwise, matrix product or
// Winograd.

#include "cpu/kernels/convolution/convolution_depthwise.h"
#include "cpu/kernels/convolution/convolution_gemm.h"
#include "cpu/kernels/convolution/convolution_winograd.h"

namespace mpscnn::cpu {
namespace {

/// True if the instruction set has kernels for Winograd's algorithm (see cpu/plan/algorithm.h).
template <class V> inline constexpr bool has_winograd = V::has_fma && !has_bfloat16<V>;

template <class V> std::size_t convolution_packed_size(const ConvolutionShape &shape) {
    if constexpr (has_winograd<V>)
        if (shape.algorithm == Algorithm::winograd) return winograd_packed_size<V>(shape);
    return shape.is_depthwise() ? depthwise_packed_size<V>(shape) : gemm_packed_size<V>(shape);
}

template <class V> void convolution_pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    if constexpr (has_winograd<V>)
        if (shape.algorithm == Algorithm::winograd) return winograd_pack<V>(shape, weights, packed);
    shape.is_depthwise() ? depthwise_pack<V>(shape, weights, packed) : gemm_pack<V>(shape, weights, packed);
}

template <class V> Prepared convolution_prepare(const ConvolutionTask &task, const Planning &planning) {
    if constexpr (has_winograd<V>)
        if (task.packed->algorithm == Algorithm::winograd) return winograd_prepare<V>(task, planning);
    Prepared prepared =
        task.packed->is_depthwise() ? depthwise_prepare<V>(task, planning) : gemm_prepare<V>(task, planning);
    if (has_bfloat16<V>) prepared.variant = "bfloat16";
    return prepared;
}

template <class V>
void convolution_run(const ConvolutionTask &task, const Prepared &prepared, std::int64_t begin,
                     std::int64_t end, Worker &worker) {
    if constexpr (has_winograd<V>)
        if (task.packed->algorithm == Algorithm::winograd)
            return winograd_run<V>(task, prepared, begin, end, worker);
    task.packed->is_depthwise() ? depthwise_run<V>(task, prepared, begin, end, worker)
                                : gemm_run<V>(task, prepared, begin, end, worker);
}

} // namespace
} // namespace mpscnn::cpu
