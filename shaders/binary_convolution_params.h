#pragma once

#include "activation_params.h"
#include "image_params.h"
#include "window_params.h"

enum BinaryKind { binary_weights = 0, binary_xnor = 1, binary_and = 2 };

struct BinaryConvolutionParams {
    ImageParams source, destination;
    WindowParams window;
    unsigned int words; ///< of 32 channels each, of a pixel
    int kind;           ///< BinaryKind
    int beta_scaling;   ///< whether results are multiplied by the mean of |x| over the window
    ActivationParams activation;
};
