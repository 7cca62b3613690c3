#pragma once

#include "vision/digit.h"

namespace mpscnn::vision {

/// The amount by which each pixel stands out from the photo's background; 0 where it does not.
struct Ink {
    GrayPlane plane;
    float contrast; ///< difference of the strongest pixels from the background
    float noise;    ///< standard deviation of the background
};

/// Separate strokes, dark or light, from the background, whose brightness may change evenly across the photo.
/// Throws Error(parameter) if nothing stands out.
Ink ink_of(const GrayPlane &photo);

} // namespace mpscnn::vision
