#pragma once

#ifndef __METAL_VERSION__
#include <stdint.h>
typedef uint32_t uint;
#endif

struct ScaleParams {
    float scale;
    uint count;
};
