#include "cpu/kernels/convolution/half_sums.h"
#include "cpu/isa/instance.h"

namespace mpscnn::cpu {
namespace {

template <class V> Prepared half_sums_prepare(const HalfSumsTask &task, const Planning &planning) {
    return half_sums_prepare_with<V, HalvesByFloats<V>>(task, planning);
}

template <class V>
void half_sums_run(const HalfSumsTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                   Worker &worker) {
    half_sums_run_with<V, HalvesByFloats<V>>(task, prepared, begin, end, worker);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(HalfSumsTask, half_sums)
