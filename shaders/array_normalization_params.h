#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "kinds.h"

/// The parameters of normalizations with statistics of each channel over all pixels of all images.
struct ArrayChannelParams {
    ArrayRun run;
    unsigned int pixels, channels;
    unsigned int parts;   ///< number of threadgroups that sum for one channel
    unsigned int lanes;   ///< number of channels of a thread: 1, or 4 if `channels` is a multiple of 4
    unsigned int columns; ///< number of a threadgroup's threads with adjacent channels, a power of two
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// The number of threads that compute the statistics of a unit together.
enum { unit_threads = 64 };

/// The parameters of normalizations with statistics of units. A unit is a group of channels of an image, or
/// all channels of a pixel.
struct ArrayUnitParams {
    ArrayRun run;
    unsigned int groups;   ///< number of units of an image
    unsigned int image;    ///< stride in elements from one image to the next
    unsigned int pixels;   ///< number of pixels of a unit
    unsigned int pitch;    ///< stride in elements from one pixel to the next
    unsigned int channels; ///< number of channels of a unit
    int norm;              ///< a VectorNorm
    int epsilon_rule;      ///< an EpsilonRule
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// The parameters of local response normalization across channels.
struct ArrayNeighboursParams {
    ArrayRun run;
    unsigned int channels;
    /// The window reaches from `before` channels before a channel to `after` channels after it.
    int before, after;
    float scale; ///< factor of the sum of squares
    float beta, delta;
};
