// A loop of FMAs on registers only, to measure the peak speed with which kernels are compared. It has as many
// independent sums as the matrix product, but at least twelve. On processors with few registers, this is more
// than FMA latency times FMA units.

#include "cpu/isa/instance.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V>
inline constexpr int fma_sums = V::gemm_rows * V::gemm_vectors > 12 ? V::gemm_rows *V::gemm_vectors : 12;

template <class V> void fma_run(std::int64_t rounds) {
    constexpr int count = fma_sums<V>;
    typename V::reg sums[count];
#pragma GCC unroll 32
    for (int i = 0; i < count; ++i) sums[i] = V::zero();
    auto x = V::zero();
    for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 32
        for (int i = 0; i < count; ++i) {
            sums[i] = V::fma(x, x, sums[i]);
            keep_in_register(sums[i]); // otherwise the compiler would simplify the loop
        }
    }
#pragma GCC unroll 32
    for (int i = 0; i < count; ++i) use_register(sums[i]);
}

} // namespace
} // namespace mpscnn::cpu

void mpscnn::cpu::MPSCNN_SET::get(FmaLoop &loop) { loop = {fma_run<Simd>, 2 * fma_sums<Simd> * Simd::width}; }
