#pragma once

#include "image_params.h"

struct MatrixProductParams {
    ImageParams first, second, destination;
    unsigned int depth; ///< columns of the first factor, after it is transposed
    int transpose_first, transpose_second;
    float scale;
};
