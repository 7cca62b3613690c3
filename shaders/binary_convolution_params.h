#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "kinds.h"
#include "window_params.h"

struct BinaryConvolutionParams {
    ImageParams source, destination;
    WindowParams window;
    unsigned int words; ///< number of words of 32 channels in a pixel
    BinaryKind kind;
    int beta_scaling; ///< 1: results are multiplied by the mean of |x| over the window
    ActivationParams activation;
};
