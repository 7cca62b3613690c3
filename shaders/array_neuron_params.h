#pragma once

#include "activation_params.h"
#include "array_params.h"

struct ArrayNeuronParams {
    ArrayRun run; ///< each thread computes four elements
    unsigned int elements, channels;
    int from_result; ///< 1: the second array is the function's result; 0: it is the function's input
    ActivationParams activation;
};
