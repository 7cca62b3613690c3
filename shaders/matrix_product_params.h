#pragma once

#include "image_params.h"

struct MatrixProductParams {
    ImageParams first, second, destination;
    unsigned int depth; ///< number of columns of the first factor, after its transposition
    int transpose_first, transpose_second;
    float scale;
};
