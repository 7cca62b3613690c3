#pragma once

#include "cpu/tasks/convolution.h"
#include "cpu/tasks/pooling.h"

namespace mpscnn::cpu {

/// A convolution whose result nothing but a pooling reads. It has no place in the arena: a work item computes
/// some of its rows and channels in the worker's scratch memory and pools them there.
///
/// `convolution` is dense, without residual; of its tensors the extents count. The windows of `pooling` do
/// not overlap vertically, and each has rows within the convolution's result.
struct PooledConvolutionTask {
    ConstView source;
    View destination;
    ConvolutionTask convolution;
    PoolingTask pooling;
    Kernel<PoolingTask> pool; ///< of the same instruction set

    const char *kernel_name() const { return "pooled convolution"; }
};

} // namespace mpscnn::cpu
