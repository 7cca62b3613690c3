#pragma once

#include "array_params.h"

/// The gather took `count` positions from an axis of `extent` positions, each with `inner` elements.
struct ArrayGatherParams {
    ArrayRun run;
    unsigned int extent, count, inner;
};
