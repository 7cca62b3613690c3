#pragma once

#include <array>

#include "vision/image_view.h"

namespace mpscnn::vision {

/// RGB in 0..255 = (luma - black) luma_factor + (blue - 128) blue_factors + (red - 128) red_factors, for
/// samples in 0..255. YUV has values that no colour has: the result is to be limited to 0..255.
struct YuvToRgb {
    float black, luma_factor;
    std::array<float, 3> blue_factors, red_factors;
};

YuvToRgb yuv_to_rgb(YuvMatrix matrix, YuvRange range);

} // namespace mpscnn::vision
