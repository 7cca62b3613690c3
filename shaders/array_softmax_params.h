#pragma once

#include "array_params.h"

struct ArraySoftmaxParams {
    ArrayRun run; ///< one thread for each pixel
    unsigned int channels;
    int logarithm;
};
