#pragma once

// Convolutions of every kind: the depthwise kernels, the matrix product or Winograd's, as the weights say.

#include "cpu/convolution_depthwise.h"
#include "cpu/convolution_gemm.h"
#include "cpu/convolution_winograd.h"

namespace mpscnn::cpu {
namespace {

/// Whether Winograd's algorithm is there (cpu/algorithm.h).
template <class V> inline constexpr bool has_winograd = V::fused_multiply_add && !has_bfloat16<V>;

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

template <class V> Work convolution_work(const ConvolutionTask &task, int threads) {
    if constexpr (has_winograd<V>)
        if (task.packed->algorithm == Algorithm::winograd) return winograd_work<V>(task, threads);
    return task.packed->is_depthwise() ? depthwise_work<V>(task, threads) : gemm_work<V>(task, threads);
}

template <class V>
void convolution_run(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
                     std::byte *scratch) {
    if constexpr (has_winograd<V>)
        if (task.packed->algorithm == Algorithm::winograd)
            return winograd_run<V>(task, threads, begin, end, scratch);
    task.packed->is_depthwise() ? depthwise_run<V>(task, threads, begin, end, scratch)
                                : gemm_run<V>(task, threads, begin, end, scratch);
}

template <class V> const char *convolution_variant(const ConvolutionTask &task, int threads) {
    if (task.packed->algorithm == Algorithm::winograd) return "winograd";
    return task.packed->is_depthwise() ? depthwise_variant<V>(task) : gemm_variant<V>(task, threads);
}

} // namespace
} // namespace mpscnn::cpu
