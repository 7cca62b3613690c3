#include "vision/yuv.h"

namespace mpscnn::vision {

/// ITU-R BT.601 and BT.709: luma = kr R + kg G + kb B, blue = (B - luma) / (2 - 2 kb), red likewise. Video
/// has 219 steps of luma above 16, and 224 of differences around 128.
YuvToRgb yuv_to_rgb(YuvMatrix matrix, YuvRange range) {
    const bool bt601 = matrix == YuvMatrix::bt601, video = range == YuvRange::video;
    const double kr = bt601 ? 0.299 : 0.2126, kb = bt601 ? 0.114 : 0.0722, kg = 1.0 - kr - kb;
    const double steps = video ? 255.0 / 224.0 : 1.0;
    const double red = 2.0 * (1.0 - kr) * steps, blue = 2.0 * (1.0 - kb) * steps;
    const auto factors = [](double r, double g, double b) {
        return std::array{static_cast<float>(r), static_cast<float>(g), static_cast<float>(b)};
    };
    return {video ? 16.0f : 0.0f, video ? 255.0f / 219.0f : 1.0f, factors(0.0, -blue * kb / kg, blue),
            factors(red, -red * kr / kg, 0.0)};
}

} // namespace mpscnn::vision
