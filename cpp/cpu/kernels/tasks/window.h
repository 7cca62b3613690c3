#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

struct PoolingTask {
    PoolingKind kind = PoolingKind::max;
    ConstView source;
    View destination;
    WindowAxis vertical{}, horizontal{};
    EdgeRule edge = EdgeRule::exclude; ///< for maxima and norms; averages use `counted_*` below
    /// For averages: how many pixels outside the source count on each side. The divisor of a window is the
    /// number of its taps inside the source or these pixels. With 0, only real pixels count; with the amounts
    /// of padding, zero padding counts too. If no tap counts, the result is 0.
    std::int64_t counted_before_y = 0, counted_after_y = 0, counted_before_x = 0, counted_after_x = 0;
    Epilogue epilogue{};

    const char *kernel_name() const { return "pooling"; }
};

/// The sums of squares for which floats are precise enough in x / (delta + alpha * sum)^beta. With other sums
/// the base, its power or the squares overflow or underflow, and double is used.
struct PowerRange {
    float lowest = 0.0f, highest = 0.0f;
};

/// destination = epilogue(source / (delta + scale * sum of source^2)^beta). The sum for channel k is over the
/// channels from k - before to k + after that exist.
struct CrossChannelTask {
    ConstView source;
    View destination;
    std::int64_t before = 0, after = 0; ///< less than the number of channels
    float scale = 1.0f, beta = 1.0f, delta = 1.0f;
    PowerRange range{};
    Epilogue epilogue{};

    const char *kernel_name() const { return "cross channel"; }
};

/// One axis of a window with stride 1. The window of output o is centred at source position o + offset. It
/// reaches from kernel / 2 positions before the centre to (kernel - 1) / 2 after it.
struct CentredAxis {
    std::int64_t kernel = 1, offset = 0;
};

enum class WindowNormalizationKind { spatial, local_contrast };

/// Normalization by a window of kernel height * kernel width positions of one channel. Positions outside the
/// source read zero or, if `clamps`, the nearest pixel. The kinds are:
///   spatial         x / (delta + alpha * mean of x^2)^beta
///   local_contrast  pm + ps * (x - p0 * mean) / (delta + alpha * variance)^beta
struct WindowNormalizationTask {
    WindowNormalizationKind kind = WindowNormalizationKind::spatial;
    ConstView source;
    View destination;
    CentredAxis vertical{}, horizontal{};
    bool clamps = false;
    float alpha = 1.0f, beta = 1.0f, delta = 1.0f;
    float p0 = 1.0f, pm = 0.0f, ps = 1.0f;
    PowerRange range{};
    Epilogue epilogue{};

    const char *kernel_name() const { return "window normalization"; }
};

enum class ResizeKind { nearest, bilinear, lanczos };

/// How an axis of a resize is sampled: output o reads source position (o + centre) * numerator / denominator
/// + offset.
struct ResizePositions {
    double numerator = 1, denominator = 1, centre = 0, offset = 0;
};

/// Returns the number of source positions whose weighted sum is output `output`, on an axis of `size`
/// positions. Writes the first position and the weights. The number of weights is at most
/// ResizeTask::vertical_taps or ResizeTask::horizontal_taps.
using ResizeWeights = std::int64_t (*)(const ResizePositions &axis, std::int64_t size, bool zero_outside,
                                       std::int64_t output, std::int32_t &first, float *weights);

/// A resize. Samples outside the source read the nearest pixel or zero. ResizeKind::nearest takes position +
/// bias, rounded down or up (ops::NearestRule).
struct ResizeTask {
    ResizeKind kind = ResizeKind::bilinear;
    ConstView source;
    View destination;
    ResizePositions vertical{}, horizontal{};
    double nearest_bias = 0;
    bool nearest_up = false;
    bool zero_outside = false, round_to_half = false;
    bool non_temporal = false; ///< true if the destination does not fit the caches until it is read
    // For Lanczos: the largest number of weights of an output, and the function that computes them. It is a
    // pointer, because kernel files may not call functions of other files.
    std::int64_t vertical_taps = 0, horizontal_taps = 0;
    ResizeWeights weights = nullptr;

    const char *kernel_name() const { return "resize"; }
};

} // namespace mpscnn::cpu
