#pragma once

#include "vision/digit.h"

namespace mpscnn::vision {

/// How far each pixel stands out from the photo's ground, 0 where it does not.
struct Ink {
    GrayPlane plane;
    float contrast; ///< of the strongest pixels
    float noise;    ///< standard deviation of the ground
};

/// Lifts the strokes, darker or lighter, from a ground whose brightness may rise evenly to one side. Throws
/// Error(parameter) where nothing stands out.
Ink ink_of(const GrayPlane &photo);

} // namespace mpscnn::vision
