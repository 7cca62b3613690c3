#pragma once

#include "array_params.h"
#include "resize_params.h"

struct ArrayResizeParams {
    ArrayRun run;
    ArrayImage input, output; ///< extents of the resize's input and output
};
