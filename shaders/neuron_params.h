#pragma once

#include "activation_params.h"
#include "image_params.h"

struct NeuronParams {
    ImageParams image;
    ActivationParams activation;
};
