#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// A convolution, or one of its gradients. Weights are [output][row][column][input of the group].
struct ArrayConvolutionParams {
    ArrayRun run;
    ArrayImage input, output; ///< of the convolution
    WindowParams window;
    unsigned int group_inputs, group_outputs; ///< channels of a group
    unsigned int weights;                     ///< number of weights
    unsigned int part;                        ///< for the weight gradient: pixels that a thread sums
    int has_bias;
    ActivationParams activation;
};
