// The common part of all kernels: checks, unpacking of sources, and writing of the result.
#pragma once

#import "mps/image.h"

#include <functional>
#include <limits>
#include <memory>

namespace metal_emulation {

/// A kernel's source image, and how many of its channels are read.
struct Source {
    MPSImage *image;
    MPSOffset offset;
    NSUInteger channels;
};

/// A destination, and how many of its channels are written.
struct Target {
    MPSImage *image;
    NSUInteger channels;
};

/// Compute a result of the destination's size.
using Compute = std::function<void(const std::vector<Pixels> &sources, Pixels &result)>;

/// Append a kernel of the class `kernel` to a command buffer, once for each image of the destination.
/// Decrement the sources' read counts.
void encode(Class kernel, id<MTLCommandBuffer> command_buffer, const std::vector<Source> &sources,
            const Target &target, const Compute &compute);

/// Return the source index of the window's first tap for result 0, along one axis. `extent` is (taps - 1) *
/// dilation + 1.
inline NSInteger window_start(NSInteger offset, NSUInteger extent) {
    return offset - static_cast<NSInteger>(extent >> 1);
}

/// Return the index that an edge mode reads, or -1 for zero.
inline NSInteger edge_index(NSInteger index, NSUInteger size, MPSImageEdgeMode mode) {
    const auto last = static_cast<NSInteger>(size) - 1;
    if (index >= 0 && index <= last) return index;
    if (mode == MPSImageEdgeModeZero) return -1;
    return index < 0 ? 0 : last;
}

/// Record a violation and return false for edge modes other than zero and clamp. Only padding kernels have
/// the others.
bool accepts_edge_mode(MPSImageEdgeMode mode);

} // namespace metal_emulation
