// The common part of all kernels: checks, unpacking of sources, and writing of the result.
#pragma once

#import "mps/image.h"

#include <functional>
#include <limits>
#include <memory>

namespace metal_emulation {

/// A kernel's source image and the part of it that is read.
struct Source {
    MPSImage *image;
    MPSOffset offset;
    NSUInteger first_channel;
    NSUInteger channels;
};

/// The part of a destination that is written.
struct Target {
    MPSImage *image;
    MTLRegion clip;
    NSUInteger first_channel;
    NSUInteger channels;
};

/// Compute a result of the clip rectangle's size. Result (0, 0) is the clip rectangle's origin.
using Compute = std::function<void(const std::vector<Pixels> &sources, Pixels &result)>;

/// Append a kernel of the class `kernel` to a command buffer, once for each image of the clip region.
/// Decrement the sources' read counts.
void encode(Class kernel, id<MTLCommandBuffer> command_buffer, const std::vector<Source> &sources,
            const Target &target, const Compute &compute);

/// Return the number of channels from `first` on, at most `maximum`. If there are none, record a violation
/// and return 1.
NSUInteger channels_from(MPSImage *image, NSUInteger first, NSUInteger maximum);

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
