#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "kinds.h"

// The places of the numbers in images of statistics. The statistics of channels are images of one column, in
// which these are the rows. In images of moments, which are intermediate results, these are the columns, and
// there is one row for each row of the source image.
enum StatisticsRow {
    statistics_mean = 0,
    statistics_variance = 1,
    /// Rounding error of the mean; missing in statistics that are a tensor of the network.
    statistics_rest = 2,
    /// A power of two: the variance is computed from the image times this number. Statistics that are a
    /// tensor of the network do not have this row.
    statistics_factor = 3
};

struct MomentsParams {
    ImageParams source, moments;
};

struct StatisticsParams {
    ImageParams source, statistics;
    unsigned int united_images; ///< number of images that share statistics
    unsigned int group;         ///< number of consecutive channels that share statistics
};

struct NormalizationParams {
    ImageParams image, statistics;
    float epsilon;
    ActivationParams activation;
};

/// The parameters for statistics of each pixel's channels. They are stored as one slice: mean, norm, the
/// mean's rounding error, and a power of two by which the channels are multiplied first.
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
