#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// The axis that is reduced to one element.
enum class ReductionAxis { height, width, channels };

/// Reduces all elements along an axis to one number. The result is NaN if any element is.
struct ReductionTask {
    ReductionKind kind = ReductionKind::max;
    ReductionAxis axis = ReductionAxis::channels;
    ConstView source;
    View destination;
    float factor = 1.0f;  ///< multiplies sums, means and variances
    float divisor = 1.0f; ///< number of elements, by which means and variances are divided; 1 for sums
    bool round_to_half = false;

    const char *kernel_name() const { return "reduction"; }
};

/// The first channel of each pixel that has the maximum (or minimum), as a float. If channels are NaN, it is
/// the first of these.
struct ArgumentTask {
    bool of_maximum = true;
    ConstView source;
    View destination;
    bool round_to_half = false;

    const char *kernel_name() const { return "argument"; }
};

/// The indices of the channels with the largest or smallest elements. Each channel of the destination gets
/// one index.
struct TopKTask {
    bool of_maximum = true;
    ConstView source;
    View destination;

    const char *kernel_name() const { return "top k"; }
};

/// Sum over the channels of source * second. Optionally it is divided by the number of channels where
/// `second` is not zero (the result is 0 if there are none). `second` has the source's extents, or 1 in
/// batch, height and width.
struct WeightedReductionTask {
    ConstView source, second;
    View destination;
    bool divides = false;
    bool round_to_half = false;

    const char *kernel_name() const { return "weighted reduction"; }
};

/// The rows of a MomentsTask's result.
enum MomentsRow { moments_mean, moments_rest, moments_squares, moments_rows };

/// The moments of each channel over parts of an image's pixels: destination(image, part, row, channel), with
/// the rows of MomentsRow. The exact mean is mean + rest. The rest is needed, because the rounding error of
/// the mean may exceed the deviations. `squares` is the sum of the squared deviations.
struct MomentsTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "moments"; }
};

/// The rows of a StatisticsTask's result. The exact mean is mean + rest, unless there is no row for the rest.
/// The variances are computed from the image times `factor`, a power of two. The factor is 1 unless squares
/// of elements overflow or underflow a float.
enum StatisticsRow {
    statistics_mean,
    statistics_variance,
    statistics_rest,
    statistics_factor,
    statistics_rows
};

/// Combines the moments of parts to mean and variance: destination(image, row, 0, channel), with the rows of
/// StatisticsRow that the destination has. If the destination has one image, it combines all images. `second`
/// has the images themselves. They are read again if squares overflow or underflow a float.
struct StatisticsTask {
    ConstView source;
    View destination;
    std::int64_t pixels = 1; ///< pixels of one image
    /// Number of groups of consecutive channels with common statistics; 0: each channel has its own.
    std::int64_t groups = 0;
    float epsilon = 0.0f; ///< added to the variance by the normalization
    ConstView second{};

    const char *kernel_name() const { return "statistics"; }
};

/// destination = epilogue((source - mean) * gamma / sqrt(variance + epsilon) + beta). `second` has all rows
/// of StatisticsRow or the first two, for each image or once for all images.
struct NormalizationTask {
    ConstView source, second;
    View destination;
    const float *gamma = nullptr, *beta = nullptr; ///< null: 1 and 0
    float epsilon = 0.0f;
    Epilogue epilogue{};
    bool reads_gamma = false, reads_beta = false; ///< true if they are tensors of the graph

    const char *kernel_name() const { return "normalization"; }
};

/// destination = epilogue((source - mean) * gamma / norm + beta), where the norm is computed from each
/// pixel's channels. The mean is only subtracted if the norm is the standard deviation.
struct LayerNormalizationTask {
    ConstView source;
    View destination;
    const float *gamma = nullptr, *beta = nullptr; ///< null: 1 and 0
    bool reads_gamma = false, reads_beta = false;  ///< true if they are tensors of the graph
    float epsilon = 0.0f;
    VectorNorm norm = VectorNorm::deviation;
    EpsilonRule epsilon_rule = EpsilonRule::inside;
    Epilogue epilogue{};

    const char *kernel_name() const { return "layer normalization"; }
};

} // namespace mpscnn::cpu
