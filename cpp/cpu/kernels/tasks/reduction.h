#pragma once

#include "cpu/kernels/tasks/task.h"

namespace mpscnn::cpu {

enum class ReductionKind { max, min, sum, product, norm };

/// Which axis is reduced to one element.
enum class ReductionAxis { height, width, channels };

/// Maximum, minimum, product, factor times the sum, or the square root of the sum of squares along an axis.
/// NaN where any element is one.
struct ReductionTask {
    ReductionKind kind = ReductionKind::max;
    ReductionAxis axis = ReductionAxis::channels;
    ConstView source;
    View destination;
    float factor = 1.0f;  ///< of sums
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
enum StatisticsRow { statistics_mean, statistics_variance, statistics_rest, statistics_rows };

/// Mean and variance from the moments of all parts: destination(image, row, 0, channel) with the rows of
/// StatisticsRow that the destination has. A destination of one image takes all images together.
struct StatisticsTask {
    ConstView source;
    View destination;
    std::int64_t pixels = 1; ///< of one image
    std::int64_t groups = 0; ///< of consecutive channels taken together; 0: each channel alone

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

/// destination = epilogue((source - mean) * gamma / sqrt(variance + epsilon) + beta) with the mean and
/// variance of each pixel's channels.
struct LayerNormalizationTask {
    ConstView source;
    View destination;
    const float *gamma = nullptr, *beta = nullptr; ///< null: 1 and 0
    bool reads_gamma = false, reads_beta = false;  ///< which are tensors of the graph
    float epsilon = 0.0f;
    Epilogue epilogue{};

    const char *kernel_name() const { return "layer normalization"; }
};

} // namespace mpscnn::cpu
