#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "window_params.h"

struct DepthwiseParams {
    ImageParams source, destination;
    WindowParams window;
    unsigned int multiplier; ///< output channel o reads input channel o / multiplier
    ActivationParams activation;
};
