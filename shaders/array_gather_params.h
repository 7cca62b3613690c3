#pragma once

#include "array_params.h"

/// `extent` positions were gathered from, `count` times in all; `inner` elements belong to each.
struct ArrayGatherParams {
    ArrayRun run;
    unsigned int extent, count, inner;
};
