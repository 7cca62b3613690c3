#pragma once

#include "array_params.h"
#include "kinds.h"
#include "window_params.h"

struct ArrayPoolingParams {
    ArrayRun run;
    ArrayImage input, output; ///< extents of the pooling's input and output
    WindowParams window;
    PoolingKind kind;
    EdgeRule edge;
    int counted_left, counted_top;     ///< the first position that an average counts
    int counted_right, counted_bottom; ///< the first position after those that an average counts
};
