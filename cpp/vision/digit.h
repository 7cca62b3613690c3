/// Finds the single character of a photo or scan and places it like the digits of MNIST: white strokes on
/// black, the longer side of its box 20/28 of the image's shorter side, and its centre of mass in the middle
/// (LeCun et al., "Gradient-based learning applied to document recognition", 1998, section III.A).
#pragma once

#include <cstddef>
#include <vector>

namespace mpscnn::vision {

/// An upright gray photo, row by row, with values from 0 to 255.
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

/// Return the character of `photo` as height x width pixels, from 0 for the background to 255 for its
/// strokes. The photo's strokes may be dark or light. Throws Error(parameter) if nothing stands out from the
/// background, if its size or shape is not a character's, and for pixels that are not finite.
std::vector<float> placed_digit(const GrayPlane &photo, int height, int width);

} // namespace mpscnn::vision
