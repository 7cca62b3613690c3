#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/convolution/convolution_chain.h"
#include "cpu/kernels/movement/conversion.h"

#include MPSCNN_SIMD_HEADER

namespace mpscnn::cpu::MPSCNN_SET {

void get(Bfloat16Kernels &);

} // namespace mpscnn::cpu::MPSCNN_SET

void mpscnn::cpu::MPSCNN_SET::get(Bfloat16Kernels &kernels) {
    kernels.convolution = {convolution_prepare<Simd>, convolution_run<Simd>};
    kernels.chain = {chain_prepare<Simd>, chain_run<Simd>};
    kernels.conversion = {conversion_prepare<Simd>, conversion_run<Simd>};
}
