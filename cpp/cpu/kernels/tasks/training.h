#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Sums, or sums of squares, over the axes along which the destination has one element and the source has
/// more.
struct SumTask {
    ConstView source;
    View destination;
    bool squares = false;

    const char *kernel_name() const { return "sum"; }
};

/// A batch normalization and the activation after it, a clamp if any, whose results are computed again with
/// the bits of the forward pass. Gradients read them so, or only where they lay between the limits: relu,
/// relu6.
struct NormalizationAnew {
    bool applies = false, has_gamma = false, has_beta = false;
    float low = -__builtin_inff(), high = __builtin_inff();
    ConstView gamma, beta; ///< one pixel, if any
};

/// Gradient of a convolution's weights, [outputs][height][width][inputs of a group], in `parts` sums over
/// parts of the pixels, one image of the destination each.
struct WeightGradientTask {
    ConstView source, gradient; ///< the convolution's input, and the gradient of its result
    View destination;           ///< an image of one pixel for each part
    WindowAxis vertical{}, horizontal{};
    std::int64_t groups = 1;
    /// If it applies, the convolution's input is what the normalization makes of `source`.
    NormalizationAnew normalization;
    ConstView statistics; ///< of that normalization, rows of StatisticsRow
    float epsilon = 0.0f;

    const char *kernel_name() const { return "weight gradient"; }
};

/// Sums of the source's images, added in double; each has the elements of the whole destination.
struct PartSumTask {
    ConstView source; ///< images of one pixel
    View destination; ///< each image without gaps

    const char *kernel_name() const { return "sum of parts"; }
};

/// Of each channel of each image the sums over the pixels of the gradient and of gradient * normalized
/// source: rows 0 and 1 of the destination.
struct NormalizationSumsTask {
    ConstView source, gradient, statistics; ///< statistics: rows of StatisticsRow
    View destination;
    float epsilon = 0.0f;
    NormalizationAnew mask;

    const char *kernel_name() const { return "normalization sums"; }
};

/// destination = factor * (gradient - first sum / count - normalized source * second sum / count).
struct NormalizationGradientTask {
    ConstView source, gradient, statistics, sums, gamma; ///< gamma: one pixel, if any
    View destination;
    float epsilon = 0.0f;
    bool has_gamma = false;
    NormalizationAnew mask;

    const char *kernel_name() const { return "normalization gradient"; }
};

} // namespace mpscnn::cpu
