// The description of a texture that the launcher hands to a kernel on a GPU. Plain C++, included by both
// sides.
#pragma once

namespace msl {

/// The first access outside a texture: action 1 is a read, 2 a write, 0 none.
struct GpuFault {
    unsigned action, x, y, slice;
};

struct GpuTexture {
    unsigned char *pixels;
    unsigned long long row_bytes;
    unsigned long long slice_bytes;
    GpuFault *fault;
    unsigned width, height, slices;
    unsigned channel_bytes; ///< 1 and, with `normalized`, 2 are normalized integers; 2 are halves, 4 floats
    unsigned components;
    bool normalized;
    bool blue_first;
};

} // namespace msl
