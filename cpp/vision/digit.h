/// The one character of a photo or scan, cut out and placed as the digits of MNIST are: white strokes on
/// black, the longer side of their box 20/28 of the image's, their centre of mass in its middle (LeCun et
/// al., "Gradient-based learning applied to document recognition", 1998, section III.A).
#pragma once

#include <cstddef>
#include <vector>

namespace mpscnn::vision {

/// A gray photo as seen, row by row, 0..255.
struct GrayPlane {
    int width, height;
    std::vector<float> values;

    GrayPlane(int plane_width, int plane_height)
        : width(plane_width), height(plane_height),
          values(static_cast<std::size_t>(plane_width) * static_cast<std::size_t>(plane_height)) {}
    std::size_t index(int x, int y) const {
        return static_cast<std::size_t>(y) * static_cast<std::size_t>(width) + static_cast<std::size_t>(x);
    }
    float at(int x, int y) const { return values[index(x, y)]; }
};

/// The character of `photo`, height x width, 0 for the ground to 255 for its strokes, dark or light as they
/// may be. Throws Error(parameter) where nothing stands out from the photo's ground, where that is no
/// character by its size or shape, and for pixels that are not finite.
std::vector<float> placed_digit(const GrayPlane &photo, int height, int width);

} // namespace mpscnn::vision
