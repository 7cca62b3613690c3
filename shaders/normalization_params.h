#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "kinds.h"

// Statistics are images of one pixel per row, with these rows. Moments have these as columns, and a row for
// each row of their image.
enum StatisticsRow {
    statistics_mean = 0,
    statistics_variance = 1,
    statistics_rest = 2, ///< rounding error of the mean; not in statistics that are a tensor of the network
    /// A power of two: the variance is that of the image times this; not in such tensors either.
    statistics_factor = 3
};

struct MomentsParams {
    ImageParams source, moments;
};

struct StatisticsParams {
    ImageParams source, statistics;
    unsigned int united_images; ///< number of images with common statistics
    unsigned int group;         ///< number of consecutive channels with common statistics
};

struct NormalizationParams {
    ImageParams image, statistics;
    float epsilon;
    ActivationParams activation;
};

/// Statistics of each pixel's channels are one slice: mean, norm, the mean's rounding error, and a power of
/// two by which the channels are multiplied first.
struct PixelStatisticsParams {
    ImageParams source, statistics;
    int norm;         ///< a VectorNorm
    int epsilon_rule; ///< an EpsilonRule
    float epsilon;
};

struct LayerNormalizationParams {
    ImageParams image, statistics;
    ActivationParams activation;
};
