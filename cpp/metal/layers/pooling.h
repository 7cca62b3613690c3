#pragma once

#include <cstdint>
#include <optional>

#include "metal/device/image.h"
#include "ops/pooling.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// The positions of one axis that an average counts.
struct Counted {
    int first, behind;
};

/// Return the positions that averages count along one axis. `zero_pad` is the pooling's parameter for the
/// axis; `size` is the image's extent.
Counted counted(const ops::Pooling &operation, const ops::WindowAxis &axis, std::int64_t zero_pad,
                std::int64_t size);

/// Return the edge mode with which MPS computes a pooling. Return nothing if a shader must compute it: for a
/// dilated window, a window larger than the image, an average that counts only some of the taps outside the
/// image, or a norm with clamped edges, which MPS does not document.
std::optional<MPSImageEdgeMode> mps_edge_mode(const ops::Pooling &operation,
                                              const ops::CanonicalWindow &window, const ImageLayout &source);

} // namespace mpscnn::metal
