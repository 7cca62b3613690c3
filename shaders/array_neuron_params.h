#pragma once

#include "activation_params.h"
#include "array_params.h"

struct ArrayNeuronParams {
    ArrayRun run; ///< a thread for each four elements
    unsigned int elements, channels;
    int from_result; ///< the second array is the function's result
    ActivationParams activation;
};
