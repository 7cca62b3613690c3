#include "cpu/conversion.h"
#include "cpu/convolution.h"
#include "cpu/convolution_chain.h"

#include MPSCNN_SIMD_HEADER

namespace mpscnn::cpu::MPSCNN_SET {

void get(Bfloat16Kernels &);

} // namespace mpscnn::cpu::MPSCNN_SET

void mpscnn::cpu::MPSCNN_SET::get(Bfloat16Kernels &kernels) {
    kernels.convolution = {convolution_work<Simd>, convolution_run<Simd>,
                           [](const ConvolutionTask &, int) -> const char * { return "bfloat16"; }};
    kernels.chain = {chain_work<Simd>, chain_run<Simd>,
                     [](const ChainTask &, int) -> const char * { return "bfloat16"; }};
    kernels.conversion = {conversion_work<Simd>, conversion_run<Simd>, nullptr};
}
