#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/arithmetic_kind.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// destination = epilogue(source * scale + shift), scale and shift per channel (both null: 1 and 0). Serves
/// neurons that stand alone, batch normalization that could not be folded, copies with other strides,
/// rounding.
struct AffineTask {
    ConstView source;
    View destination;
    const float *scale = nullptr, *shift = nullptr; ///< padded to full vectors
    Epilogue epilogue{};

    const char *kernel_name() const { return "affine"; }
};

/// How far the source moves with each element of the destination: 0 stays (broadcast), 1 goes to the next.
struct SourceSteps {
    std::int64_t y = 1, x = 1, channels = 1; ///< channels: 0 or 1
};

/// destination = epilogue(min(max(source_scale * source op second_scale * second + bias, low), high)).
struct ArithmeticTask {
    ConstView source, second; ///< the second may be a constant of the network's
    View destination;
    Epilogue epilogue{};
    ArithmeticKind kind = ArithmeticKind::add;
    SourceSteps source_steps{}, second_steps{};
    bool scaled = false; ///< whether the numbers below say anything
    float source_scale = 1.0f, second_scale = 1.0f, bias = 0.0f;
    float low = 0.0f, high = 0.0f;

    const char *kernel_name() const { return "arithmetic"; }
};

/// Copies between tensors of floats and of bfloat16 numbers, which are rounded as core/bfloat16.h says.
/// Channels that the destination has besides become zero.
struct ConversionTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "conversion"; }
};

/// Copies the channels of several sources side by side: each pixel of the destination is written once, which
/// a copy for each source would write in several passes. Channels between the sources are left unchanged.
struct ConcatenationTask {
    static constexpr std::size_t max_others = 7;

    ConstView source; ///< to the destination's first channels
    View destination;
    ConstView others[max_others];
    std::int64_t positions[max_others] = {}; ///< each one's first channel in the destination
    std::int64_t count = 0;                  ///< of the others

    const char *kernel_name() const { return "concatenation"; }
};

/// destination = source * mask; the mask is ops::Dropout's: `scale` where an element is kept, otherwise 0.
struct DropoutTask {
    ConstView source;
    View destination;
    std::uint64_t seed = 0;
    ConstView step;          ///< one whole number, which is added to the seed
    bool reads_step = false; ///< whether there is one
    std::uint32_t last_kept = 0;
    float scale = 1.0f;
    bool varies_y = true, varies_x = true, varies_channels = true; ///< whether the mask does, along an axis
    bool round_to_half = false;

    const char *kernel_name() const { return "dropout"; }
};

/// Copies the source into the destination at (top, left, front) and fills the rest as the mode says. Also the
/// plain copy between strides (all zero). Negative positions crop.
struct PaddingTask {
    ConstView source;
    View destination;
    std::int64_t top = 0, left = 0, front = 0;
    PaddingMode mode = PaddingMode::constant_;
    float value = 0.0f;
    const float *values = nullptr; ///< instead of `value`, one for each channel of the destination

    const char *kernel_name() const { return "copy"; }
};

/// Softmax over the channels of each pixel, or its logarithm, shifted by the maximum.
struct SoftmaxTask {
    ConstView source;
    View destination;
    bool round_to_half = false;
    bool logarithm = false;

    const char *kernel_name() const { return "softmax"; }
};

} // namespace mpscnn::cpu
