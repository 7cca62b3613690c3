#include "cpu/convolution.h"
#include "cpu/convolution_chain.h"
#include "cpu/instance.h"
#include "cpu/interleaved_convolution.h"
#include "cpu/pooled_convolution.h"
#include "cpu/subpixel.h"

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
