#pragma once

#include "activation_params.h"
#include "array_params.h"
#include "window_params.h"

/// A convolution, whose weights are [output][row][column][input of the group], or one of its gradients.
struct ArrayConvolutionParams {
    ArrayRun run;
    ArrayImage input, output; ///< of the convolution
    WindowParams window;
    unsigned int group_inputs, group_outputs; ///< channels of a group
    unsigned int weights;                     ///< how many
    unsigned int part;                        ///< weight gradient: pixels that a thread adds
    int has_bias;
    ActivationParams activation;
};
