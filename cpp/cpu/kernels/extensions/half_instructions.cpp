// Convolutions that sum in float16, with the processor's float16 instructions.

#include "cpu/kernels/convolution/half_sums.h"

#include MPSCNN_SIMD_HEADER

namespace mpscnn::cpu::MPSCNN_SET {

void get(Kernel<HalfSumsTask> &);

} // namespace mpscnn::cpu::MPSCNN_SET

void mpscnn::cpu::MPSCNN_SET::get(Kernel<HalfSumsTask> &kernel) {
    kernel = {half_sums_prepare_with<Simd, Halves>, half_sums_run_with<Simd, Halves>};
}
