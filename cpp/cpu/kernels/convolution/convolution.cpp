#include "cpu/kernels/convolution/convolution.h"
#include "cpu/isa/instance.h"
#include "cpu/kernels/convolution/convolution_chain.h"
#include "cpu/kernels/convolution/interleaved_convolution.h"
#include "cpu/kernels/convolution/pooled_convolution.h"
#include "cpu/kernels/convolution/subpixel.h"

MPSCNN_KERNEL(ChainTask, chain)
MPSCNN_KERNEL(PooledConvolutionTask, pooled_convolution)
MPSCNN_KERNEL(InterleavedConvolutionTask, interleaved)
MPSCNN_KERNEL(SubpixelConvolutionTask, subpixel)
MPSCNN_KERNEL(DepthToSpaceTask, depth_to_space)

void mpscnn::cpu::MPSCNN_SET::get(Kernel<ConvolutionTask> &kernel) {
    kernel = {convolution_prepare<Simd>, convolution_run<Simd>};
}

void mpscnn::cpu::MPSCNN_SET::get(ConvolutionPacking &packing) {
    packing = {convolution_packed_size<Simd>, convolution_pack<Simd>};
}
