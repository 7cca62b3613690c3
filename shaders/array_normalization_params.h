#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "kinds.h"

/// Statistics of each channel over all pixels of all images.
struct ArrayChannelParams {
    ArrayRun run;
    unsigned int pixels, channels;
    unsigned int part; ///< pixels that a thread adds
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// Statistics of units: of each image's groups of channels, or of each pixel's channels.
struct ArrayUnitParams {
    ArrayRun run;
    unsigned int groups;   ///< units of an image
    unsigned int image;    ///< elements from one image to the next
    unsigned int pixels;   ///< of a unit
    unsigned int pitch;    ///< elements from one pixel to the next
    unsigned int channels; ///< of a unit
    int norm;              ///< VectorNorm
    int epsilon_rule;      ///< EpsilonRule
    float epsilon;
    int has_gamma, has_beta;
    ActivationParams activation;
};

/// Local response normalization across channels.
struct ArrayNeighboursParams {
    ArrayRun run;
    unsigned int channels;
    int before, after; ///< channels of a window
    float scale;       ///< of the sum of squares
    float beta, delta;
};
