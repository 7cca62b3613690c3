// The emulation's IOSurface: planes in one block of memory.
#pragma once

#import <IOSurface/IOSurfaceRef.h>

#include <cstddef>
#include <vector>

struct __IOSurface {
    struct Plane {
        std::size_t width, height, pixel_bytes, row_bytes, begin;
    };
    std::vector<Plane> planes;
    std::vector<unsigned char> memory;
};
