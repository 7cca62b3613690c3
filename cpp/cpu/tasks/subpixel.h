#pragma once

#include "cpu/tasks/convolution.h"

namespace mpscnn::cpu {

/// Channels of the source become blocks of scale x scale pixels of the destination, which may lack rows and
/// columns of the last blocks.
struct DepthToSpaceTask {
    ConstView source;
    View destination;
    std::int64_t scale = 1;
    bool channel_major = false; ///< one channel of all pixels of a block after the other

    const char *kernel_name() const { return "depth to space"; }
};

/// The same with the result of a convolution, whose epilogue is applied before.
struct SubpixelConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< of the convolution
    const PackedConvolution *packed = nullptr;
    std::int64_t scale = 1;
    bool channel_major = false;
    Epilogue epilogue{}; ///< without residual; slopes are those of the convolution's channels

    const char *kernel_name() const { return "subpixel convolution"; }
};

} // namespace mpscnn::cpu
