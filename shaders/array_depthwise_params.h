#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// A depthwise convolution without a multiplier, of multiples of 4 channels. Weights are
/// [row][column][channel].
struct ArrayDepthwiseParams {
    ArrayRun run;
    ArrayImage input, output;
    WindowParams window;
    int has_bias;
    ActivationParams activation;
};

enum {
    array_depthwise_results = 4 ///< adjacent columns that a thread computes, of four channels
};
