#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

/// Sums elements, or their squares, over the axes in which the destination has extent 1 and the source more.
struct SumTask {
    ConstView source;
    View destination;
    bool squares = false;

    const char *kernel_name() const { return "sum"; }
};

/// A batch normalization and an optional clamp after it, whose results a gradient's kernel recomputes. The
/// bits are those of the forward pass. The kernel uses the results, or only tests whether they were between
/// the limits (relu, relu6).
struct RecomputedNormalization {
    bool applies = false, has_gamma = false, has_beta = false;
    float low = -__builtin_inff(), high = __builtin_inff();
    ConstView gamma, beta; ///< one pixel, optional
};

/// The gradient of a convolution's weights, [outputs][height][width][inputs of a group]. If the pixels are
/// divided into parts, each image of the destination is the sum over one part.
struct WeightGradientTask {
    ConstView source, gradient; ///< the convolution's input, and the gradient of its result
    View destination; ///< one image of one pixel for each part; with one part an image for each output
    WindowAxis vertical{}, horizontal{};
    std::int64_t groups = 1;
    std::int64_t parts = 1;
    bool winograd = false; ///< true: computed by Winograd's algorithm (weight_gradient_winograd.h)
    Element operands = Element::float32; ///< the type to which both factors of a product are rounded
    /// If it applies, the convolution's input is the normalization of `source`.
    RecomputedNormalization normalization;
    ConstView statistics; ///< statistics of that normalization, rows of StatisticsRow
    float epsilon = 0.0f;

    const char *kernel_name() const { return "weight gradient"; }
};

/// Sums the images of the source in double. Each has as many elements as the destination.
struct PartSumTask {
    ConstView source; ///< images of one pixel
    View destination; ///< each image without gaps

    const char *kernel_name() const { return "sum of parts"; }
};

/// Two sums over the pixels of each image, for each channel. Row 0 of the destination is the sum of the
/// gradient, and row 1 the sum of gradient * normalized source.
struct NormalizationSumsTask {
    ConstView source, gradient, statistics; ///< statistics: rows of StatisticsRow
    View destination;
    float epsilon = 0.0f;
    RecomputedNormalization mask;

    const char *kernel_name() const { return "normalization sums"; }
};

/// destination = factor * (gradient - first sum / count - normalized source * second sum / count). The factor
/// is gamma / sqrt(variance + epsilon), and count is the number of pixels of all images. `sums` has the sums
/// of a NormalizationSumsTask, added up over all images.
struct NormalizationGradientTask {
    ConstView source, gradient, statistics, sums, gamma; ///< gamma is one pixel, optional
    View destination;
    float epsilon = 0.0f;
    bool has_gamma = false;
    RecomputedNormalization mask;

    const char *kernel_name() const { return "normalization gradient"; }
};

} // namespace mpscnn::cpu
