#pragma once

#include "cpu/tasks/convolution.h"

namespace mpscnn::cpu {

/// One of several convolutions that compute a result together. It writes the output channels from
/// `destination_channel` on of the pixels (y, x), (y + step_y, x), (y, x + step_x), ...
struct ConvolutionPart {
    PackedConvolution packed;
    std::int64_t y = 0, x = 0;
    std::int64_t source_channel = 0, destination_channel = 0; ///< first ones
    std::int64_t before_y = 0, before_x = 0;                  ///< its window's, besides the task's
};

/// Convolutions whose output pixels are interleaved: a transposed convolution with a stride, a convolution
/// with its channels rearranged to pixels.
struct InterleavedConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{}; ///< of all parts, but for the kernel, which is each part's own
    std::int64_t step_y = 1, step_x = 1;
    const ConvolutionPart *parts = nullptr;
    std::int64_t part_count = 0;
    /// Where parts leave out pixels: what these are before the activation, padded to full vectors. The parts'
    /// rows and columns are independent then: a pixel is left out if its row or its column is.
    const float *background = nullptr;
    Epilogue epilogue{}; ///< without residual

    const char *kernel_name() const { return "interleaved convolution"; }
};

} // namespace mpscnn::cpu
