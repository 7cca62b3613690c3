#pragma once

// All kernels of one instruction set. Included by table_<set>.cpp only; see simd.h.

#include "cpu/convolution_gemm.h"
#include "cpu/kernels.h"

namespace mpscnn::cpu {
namespace {

template <class V> std::size_t packed_size(const ConvolutionShape &shape) {
    return gemm_packed_size<V>(shape);
}

template <class V> void pack(const ConvolutionShape &shape, const float *weights, float *packed) {
    gemm_pack<V>(shape, weights, packed);
}

template <class V> Work convolution_work(const ConvolutionTask &task, int threads) {
    return gemm_work<V>(task, threads);
}

template <class V>
void convolution(const ConvolutionTask &task, int threads, std::int64_t begin, std::int64_t end,
                 std::byte *scratch) {
    gemm_run<V>(task, threads, begin, end, scratch);
}

template <class V> constexpr KernelTable make_table(const char *name) {
    return {.name = name,
            .vector_width = V::width,
            .fused_multiply_add = V::fused_multiply_add,
            .packed_size = packed_size<V>,
            .pack = pack<V>,
            .convolution_work = convolution_work<V>,
            .convolution = convolution<V>};
}

} // namespace
} // namespace mpscnn::cpu
