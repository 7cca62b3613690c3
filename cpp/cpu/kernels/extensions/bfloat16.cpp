#include "cpu/kernels/convolution/convolution.h"
#include "cpu/kernels/convolution/convolution_chain.h"
#include "cpu/kernels/convolution/pack_pairs.h"
#include "cpu/kernels/elementwise/pooling.h"
#include "cpu/kernels/elementwise/rounded_arithmetic.h"
#include "cpu/kernels/movement/conversion.h"
#include "cpu/kernels/training/normalization_gradient.h"
#include "cpu/kernels/training/rounded_normalization.h"
#include "cpu/kernels/training/weight_gradient_dense.h"

#include MPSCNN_SIMD_HEADER

namespace mpscnn::cpu::MPSCNN_SET {

void get(Bfloat16Kernels &);

} // namespace mpscnn::cpu::MPSCNN_SET

void mpscnn::cpu::MPSCNN_SET::get(Bfloat16Kernels &kernels) {
    kernels.convolution = {convolution_prepare<Simd>, convolution_run<Simd>};
    kernels.chain = {chain_prepare<Simd>, chain_run<Simd>};
    kernels.conversion = {conversion_prepare<Simd>, conversion_run<Simd>};
    kernels.pack = {pair_pack_prepare<Simd>, pair_pack_run<Simd>};
    kernels.weight_gradient = {dense_gradient_prepare<Simd>, dense_gradient_run<Simd>};
    kernels.normalization = {rounded_normalization_prepare<Simd>, rounded_normalization_run<Simd>};
    kernels.pooling = {pooling_prepare<Simd>, pooling_run<Simd>};
    kernels.arithmetic = {rounded_arithmetic_prepare<Simd>, rounded_arithmetic_run<Simd>};
    kernels.normalization_gradient = {normalization_gradient_prepare<Simd>, normalization_gradient_run<Simd>};
}
