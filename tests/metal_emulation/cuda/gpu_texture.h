// The description of a texture that the launcher passes to a kernel on a GPU. It is plain C++, because the
// launcher and the kernels include it.
#pragma once

namespace msl {

/// The first access outside a texture. `action` is 1 for a read, 2 for a write, and 0 if there was no such
/// access.
struct GpuFault {
    unsigned action, x, y, slice;
};

struct GpuTexture {
    unsigned char *pixels;
    unsigned long long row_bytes;
    unsigned long long slice_bytes;
    GpuFault *fault;
    unsigned width, height, slices;
    /// Bytes of a channel. With 1 byte, channels are normalized integers. With 2, they are normalized
    /// integers if `normalized`, otherwise halves. With 4, they are floats.
    unsigned channel_bytes;
    unsigned components;
    bool normalized;
    bool blue_first;
};

} // namespace msl
