#pragma once

#include "activation_params.h"
#include "image_params.h"

// Statistics are images with a row for each of these, of one pixel; moments have a column for each, and a row
// for each row of the image that they are of.
enum StatisticsRow {
    statistics_mean = 0,
    statistics_variance = 1,
    statistics_rest = 2 ///< what rounding took from the mean; not there in the statistics of a network
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

/// Statistics of each pixel's channels: one slice of mean, variance and what rounding took from the mean.
struct PixelStatisticsParams {
    ImageParams source, statistics;
};

struct LayerNormalizationParams {
    ImageParams image, statistics;
    float epsilon;
    ActivationParams activation;
};
