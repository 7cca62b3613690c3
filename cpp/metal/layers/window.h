#pragma once

#include "ops/transposed_convolution.h"
#include "ops/window.h"
#include "shaders/window_params.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// Return the position of the centre tap of an MPS kernel's first window.
MPSOffset mps_offset(const ops::CanonicalWindow &window);
/// Return the window's parameters for shaders.
WindowParams window_params(const ops::CanonicalWindow &window);
WindowParams window_params(const ops::CanonicalTransposedWindow &window);

} // namespace mpscnn::metal
