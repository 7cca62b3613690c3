#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "window_params.h"

/// The number of results in one row that a thread of depthwise_3x3 computes.
enum { depthwise_results = 4 };

struct DepthwiseParams {
    ImageParams source, destination;
    WindowParams window;
    unsigned int multiplier; ///< output channel o reads input channel o / multiplier
    unsigned int spacing;    ///< distance in columns between the results of a thread of depthwise_3x3
    ActivationParams activation;
};
