#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// The parameters of a depthwise convolution with channel multiplier 1, whose number of channels is a
/// multiple of 4. Weights are [row][column][channel].
struct ArrayDepthwiseParams {
    ArrayRun run;
    ArrayImage input, output;
    WindowParams window;
    int has_bias;
    ActivationParams activation;
};

/// The parameters of the rearrangement of depthwise weights from [channel][row][column] to
/// [row][column][channel].
struct ArrayDepthwiseWeightsParams {
    ArrayRun run;
    unsigned int channels, taps; ///< taps: number of rows times columns
    int reversed;                ///< 1: the last row and the last column come first
};

enum {
    /// Number of adjacent columns that a thread computes, with four channels each.
    array_depthwise_results = 4
};
