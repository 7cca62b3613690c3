#pragma once

#include "activation_params.h"
#include "image_params.h"

struct SubpixelParams {
    ImageParams source, destination;
    unsigned int scale;
    int channel_major; ///< the order of a block's channels, see ops::SubpixelOrder
    ActivationParams activation;
};
