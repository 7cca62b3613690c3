#pragma once

#include "activation_params.h"
#include "image_params.h"

/// All images of an elementwise operation have the same extents.
struct ArithmeticParams {
    ImageParams image;
    ActivationParams activation;
};
