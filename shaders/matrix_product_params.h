#pragma once

#include "image_params.h"

struct MatrixProductParams {
    ImageParams first, second, destination;
    unsigned int depth; ///< columns of the first factor as it is multiplied
    int transpose_first, transpose_second;
    float scale;
};
