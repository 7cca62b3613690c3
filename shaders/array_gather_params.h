#pragma once

#include "array_params.h"

/// The parameters of a gather's gradient. The gather took `count` positions from an axis of `extent`
/// positions; each position has `inner` elements.
struct ArrayGatherParams {
    ArrayRun run;
    unsigned int extent, count, inner;
};
