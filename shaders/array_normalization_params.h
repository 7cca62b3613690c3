#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "kinds.h"

/// For statistics of each channel over all pixels of all images.
struct ArrayChannelParams {
    ArrayRun run;
    unsigned int pixels, channels;
    unsigned int part; ///< pixels that a thread sums
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// The threads that compute the statistics of a unit together.
enum { unit_threads = 64 };

/// For statistics of units. A unit is a group of channels of an image, or all channels of a pixel.
struct ArrayUnitParams {
    ArrayRun run;
    unsigned int groups;   ///< units of an image
    unsigned int image;    ///< distance in elements from one image to the next
    unsigned int pixels;   ///< in a unit
    unsigned int pitch;    ///< distance in elements from one pixel to the next
    unsigned int channels; ///< in a unit
    int norm;              ///< a VectorNorm
    int epsilon_rule;      ///< an EpsilonRule
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// Local response normalization across channels.
struct ArrayNeighboursParams {
    ArrayRun run;
    unsigned int channels;
    int before, after; ///< channels before and after a channel in its window
    float scale;       ///< factor of the sum of squares
    float beta, delta;
};
