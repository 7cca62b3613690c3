#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "kinds.h"

// Statistics are images with a row for each of these, of one pixel; moments have a column for each, and a row
// for each row of the image that they are of.
enum StatisticsRow {
    statistics_mean = 0,
    statistics_variance = 1,
    statistics_rest = 2,  ///< what rounding took from the mean; not there in the statistics of a network
    statistics_factor = 3 ///< a power of two: the variance is that of the image times it; not there either
};

struct MomentsParams {
    ImageParams source, moments;
};

struct StatisticsParams {
    ImageParams source, statistics;
    unsigned int united_images; ///< how many images have one statistics
    unsigned int group;         ///< how many consecutive channels have one statistics
};

struct NormalizationParams {
    ImageParams image, statistics;
    float epsilon;
    ActivationParams activation;
};

/// Statistics of each pixel's channels: one slice of mean, norm and what rounding took from the mean, of the
/// channels times the last number, a power of two.
struct PixelStatisticsParams {
    ImageParams source, statistics;
    int norm;         ///< VectorNorm
    int epsilon_rule; ///< EpsilonRule
    float epsilon;
};

struct LayerNormalizationParams {
    ImageParams image, statistics;
    ActivationParams activation;
};
