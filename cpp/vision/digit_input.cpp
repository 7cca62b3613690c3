#include "vision/digit_input.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "vision/digit.h"

namespace mpscnn::vision {

namespace {

/// The maximum number of pixels that are searched for a character. More do not help to find its strokes.
constexpr double max_gray_pixels = 1 << 20;

/// Return the upright photo in gray, 0..255. Large photos are reduced.
GrayPlane gray_plane(const ImageView &image) {
    const double width = image.oriented_width(), height = image.oriented_height();
    const double reduction = std::max({1.0, std::sqrt(width / max_gray_pixels * height),
                                       width / largest_output_side, height / largest_output_side});
    const auto reduced = [&](double side) {
        return std::max(1, static_cast<int>(std::lround(side / reduction)));
    };
    GrayPlane plane(reduced(width), reduced(height));
    Preprocess gray;
    gray.order = ChannelOrder::gray;
    preprocess(image, gray, plane.height, plane.width, 1, plane.values.data(), 1, plane.width);
    return plane;
}

} // namespace

void write_digit_input(const ImageView &image, const Preprocess &options, int height, int width, float *out,
                       std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch) {
    const std::vector<float> digit = placed_digit(gray_plane(image), height, width);
    for (int row = 0; row < height; ++row)
        for (int column = 0; column < width; ++column) {
            const auto index = static_cast<std::size_t>(row) * static_cast<std::size_t>(width) +
                               static_cast<std::size_t>(column);
            out[row * row_pitch + column * pixel_pitch] = (digit[index] - options.mean[0]) * options.scale[0];
        }
}

} // namespace mpscnn::vision
