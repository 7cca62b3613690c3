// The description of a texture that the launcher passes to a kernel on a GPU. It is plain C++, because the
// launcher and the kernels include it.
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
    /// 1: normalized integers. 2: normalized integers if `normalized`, otherwise halves. 4: floats.
    unsigned channel_bytes;
    unsigned components;
    bool normalized;
    bool blue_first;
};

} // namespace msl
