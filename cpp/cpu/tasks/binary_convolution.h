#pragma once

#include "core/aligned_buffer.h"
#include "cpu/tasks/task.h"

namespace mpscnn::cpu {

/// Signs of weights, as bits: 1 for zero and above.
struct BinaryWeights {
    std::int64_t outputs = 0, inputs = 0, kernel_height = 1, kernel_width = 1;
    /// [vectors of outputs][kernel rows][kernel columns][words][lanes]: bit i of word w is input 32 * w + i,
    /// bits without an input are 0.
    AlignedBuffer<std::uint32_t> bits;
    AlignedBuffer<float> scale, bias;             ///< of outputs, padded to full vectors
    AlignedBuffer<float> input_bias, input_scale; ///< of inputs

    std::int64_t words() const { return (inputs + 31) / 32; }
};

/// destination = epilogue(sum * scale + bias), where sum is over the bits of the inputs (x + input_bias) *
/// input_scale >= 0 and the weights. Positions outside the source read as zero.
struct BinaryConvolutionTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const BinaryWeights *weights = nullptr;
    bool signs = true; ///< bits are -1 and +1, otherwise 0 and 1
    Epilogue epilogue{};

    const char *kernel_name() const { return "binary convolution"; }
};

/// destination = epilogue(destination * beta + bias): beta is the mean of the source's absolute values over a
/// window and its channels, with zeros outside.
struct BetaScalingTask {
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    const float *bias = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "beta scaling"; }
};

} // namespace mpscnn::cpu
