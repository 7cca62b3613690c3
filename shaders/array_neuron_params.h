#pragma once

#include "activation_params.h"
#include "array_params.h"

struct ArrayNeuronParams {
    ArrayRun run; ///< one thread for four elements
    unsigned int elements, channels;
    int from_result; ///< 1: the second array is the function's result
    ActivationParams activation;
};
