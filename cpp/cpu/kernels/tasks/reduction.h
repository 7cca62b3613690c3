#pragma once

#include "cpu/kernels/tasks/task.h"
#include "shaders/kinds.h"

namespace mpscnn::cpu {

/// Which axis is reduced to one element.
enum class ReductionAxis { height, width, channels };

/// One number for all elements along an axis. NaN where any element is one.
struct ReductionTask {
    ReductionKind kind = ReductionKind::max;
    ReductionAxis axis = ReductionAxis::channels;
    ConstView source;
    View destination;
    float factor = 1.0f;  ///< of sums and variances
    float divisor = 1.0f; ///< of sums
    bool round_to_half = false;

    const char *kernel_name() const { return "reduction"; }
};

/// The first channel of each pixel that holds the maximum (minimum), as a float; the first NaN if any.
struct ArgumentTask {
    bool of_maximum = true;
    ConstView source;
    View destination;
    bool round_to_half = false;

    const char *kernel_name() const { return "argument"; }
};

/// Sum over the channels of source * second, divided, if asked, by the number of channels whose `second` is
/// not zero (0 where there is none). `second` has the source's extents or 1 in batch, height and width.
struct WeightedReductionTask {
    ConstView source, second;
    View destination;
    bool divides = false;
    bool round_to_half = false;

    const char *kernel_name() const { return "weighted reduction"; }
};

/// Rows of what MomentsTask stores for each channel.
enum MomentsRow { moments_mean, moments_rest, moments_squares, moments_rows };

/// Moments of each channel over part i of the pixels of each image: destination(image, i, row, channel) with
/// the rows of MomentsRow. The exact mean is mean + rest: the mean alone, rounded, may be off by more than
/// the deviations from it. squares is the sum of the squared deviations. The destination has as many rows of
/// pixels as there are parts.
struct MomentsTask {
    ConstView source;
    View destination;

    const char *kernel_name() const { return "moments"; }
};

/// Rows of what StatisticsTask stores for each channel; without statistics_rest the mean is complete.
/// Means, variances and rests are those of the image times a power of two, statistics_factor: 1 unless
/// squares of its elements are beyond float.
enum StatisticsRow {
    statistics_mean,
    statistics_variance,
    statistics_rest,
    statistics_factor,
    statistics_rows
};

/// Mean and variance from the moments of all parts: destination(image, row, 0, channel) with the rows of
/// StatisticsRow that the destination has. A destination of one image takes all images together. `second` is
/// the image itself, which is read again where its squares are beyond float; without data it never is.
struct StatisticsTask {
    ConstView source;
    View destination;
    std::int64_t pixels = 1; ///< of one image
    std::int64_t groups = 0; ///< of consecutive channels taken together; 0: each channel alone
    float epsilon = 0.0f;    ///< that the normalization adds to the variance
    ConstView second{};

    const char *kernel_name() const { return "statistics"; }
};

/// destination = epilogue((source - mean) * gamma / sqrt(variance + epsilon) + beta). `second` has the rows
/// of StatisticsRow, all or the first two, for each image or one for all.
struct NormalizationTask {
    ConstView source, second;
    View destination;
    const float *gamma = nullptr, *beta = nullptr; ///< null: 1 and 0
    float epsilon = 0.0f;
    Epilogue epilogue{};
    bool reads_gamma = false, reads_beta = false; ///< which are tensors of the graph

    const char *kernel_name() const { return "normalization"; }
};

/// destination = epilogue((source - mean) * gamma / norm + beta) with a norm of each pixel's channels. A mean
/// is subtracted where the norm is the deviation.
struct LayerNormalizationTask {
    ConstView source;
    View destination;
    const float *gamma = nullptr, *beta = nullptr; ///< null: 1 and 0
    bool reads_gamma = false, reads_beta = false;  ///< which are tensors of the graph
    float epsilon = 0.0f;
    VectorNorm norm = VectorNorm::deviation;
    EpsilonRule epsilon_rule = EpsilonRule::inside;
    Epilogue epilogue{};

    const char *kernel_name() const { return "layer normalization"; }
};

} // namespace mpscnn::cpu
