#pragma once

#include "array_params.h"

struct ArraySoftmaxParams {
    ArrayRun run; ///< a thread for each pixel
    unsigned int channels;
    int logarithm;
};
