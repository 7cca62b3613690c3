#pragma once

#include "ops/window.h"
#include "shaders/window_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// Where the centre tap of an MPS kernel's first window lies.
MPSOffset mps_offset(const ops::CanonicalWindow &window);
/// For the engine's own shaders. ops/refusals.h keeps positions within their 32 bits.
WindowParams window_params(const ops::CanonicalWindow &window);

} // namespace mpscnn::metal
