// The emulation's IOSurface: planes in one block of memory, which several pixel buffers may share.
#pragma once

#import <IOSurface/IOSurfaceRef.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct __IOSurface : std::enable_shared_from_this<__IOSurface> {
    struct Plane {
        std::size_t width, height, pixel_bytes, row_bytes, begin;
    };
    std::size_t width = 0, height = 0;
    std::uint32_t format = 0; ///< one of Core Video's pixel formats
    std::vector<Plane> planes;
    std::vector<unsigned char> memory;
};
