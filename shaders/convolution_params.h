#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "window_params.h"

/// The number of adjacent pixels that a thread of the pointwise convolution computes.
enum { pointwise_results = 4 };

struct ConvolutionParams {
    ImageParams source, destination;
    WindowParams window;
    unsigned int group_inputs;  ///< input channels of a group
    unsigned int group_outputs; ///< output channels of a group
    ActivationParams activation;
};
