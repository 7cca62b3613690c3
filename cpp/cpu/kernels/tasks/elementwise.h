#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/arithmetic_kind.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// destination = epilogue(source * scale + shift), with scale and shift per channel (both null: 1 and 0). It
/// is used for activations that are layers, batch normalizations that could not be folded, copies with other
/// strides, and rounding.
struct AffineTask {
    ConstView source;
    View destination;
    const float *scale = nullptr, *shift = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "affine"; }
};

/// How far the source advances for each element of the destination: 0 for an axis that is broadcast,
/// otherwise the operation's stride, usually 1.
struct SourceSteps {
    std::int64_t y = 1, x = 1, channels = 1; ///< channels: 0 or 1
};

/// destination = epilogue(min(max(source_scale * source op second_scale * second + bias, low), high)).
struct ArithmeticTask {
    ConstView source, second; ///< the second may be a constant of the network
    View destination;
    Epilogue epilogue{};
    ArithmeticKind kind = ArithmeticKind::add;
    SourceSteps source_steps{}, second_steps{};
    bool scaled = false; ///< false: the numbers below have no effect
    float source_scale = 1.0f, second_scale = 1.0f, bias = 0.0f;
    float low = 0.0f, high = 0.0f;

    const char *kernel_name() const { return "arithmetic"; }
};

/// Copies between float32 and bfloat16 tensors, rounding as core/bfloat16.h defines. If the destination has
/// more channels, these become zero.
struct ConversionTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "conversion"; }
};

/// Copies the channels of several sources next to each other. It writes each pixel of the destination once,
/// while one copy task for each source would write it several times. Channels of the destination that no
/// source has are left unchanged.
struct ConcatenationTask {
    static constexpr std::size_t max_others = 7;

    ConstView source; ///< copied to the destination's first channels
    View destination;
    ConstView others[max_others];
    std::int64_t positions[max_others] = {}; ///< the destination channel where each other source begins
    std::int64_t count = 0;                  ///< number of `others`

    const char *kernel_name() const { return "concatenation"; }
};

/// destination = source * mask, with the mask of ops::Dropout: `scale` where an element is kept, otherwise 0.
struct DropoutTask {
    ConstView source;
    View destination;
    std::uint64_t seed = 0;
    ConstView step;          ///< an integer that is added to the seed
    bool reads_step = false; ///< true if `step` is used
    std::uint32_t last_kept = 0;
    float scale = 1.0f;
    /// True if the mask varies along this axis.
    bool varies_y = true, varies_x = true, varies_channels = true;
    bool round_to_half = false;

    const char *kernel_name() const { return "dropout"; }
};

/// Copies the source into the destination at position (top, left, front), and fills the border according to
/// the mode. If the positions are 0 and both tensors have the same extents, it only copies; the strides may
/// differ. Negative positions crop the source.
struct PaddingTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    PaddingMode mode = PaddingMode::constant_;
    float value = 0.0f;
    const float *values = nullptr; ///< in place of `value`: one for each channel of the destination

    const char *kernel_name() const { return "copy"; }
};

/// Softmax over the channels of each pixel, or its logarithm. The maximum is subtracted before the
/// exponential.
struct SoftmaxTask {
    ConstView source;
    View destination;
    bool round_to_half = false;
    bool logarithm = false;

    const char *kernel_name() const { return "softmax"; }
};

} // namespace mpscnn::cpu
