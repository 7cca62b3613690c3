#pragma once

#include <array>
#include <cstddef>

#include "vision/lanes.h"
#include "vision/preprocess.h"
#include "vision/yuv.h"

namespace mpscnn::vision {

/// Where the resized samples of a row's first pixel are; those of the next pixels follow pixel_lanes apart.
struct ResizedRow {
    const float *first;  ///< gray, the pixel's colours side by side, or luma
    const float *blue{}; ///< colour differences of YUV photos only
    const float *red{};
};

/// From the resized samples of a photo's pixels to the output's channels.
class PixelWriter {
public:
    PixelWriter(const ImageView &image, const Preprocess &options);

    /// Written to out, out + pitch, ...
    void write(const ResizedRow &row, std::size_t count, float *out, std::ptrdiff_t pitch) const;

    /// One output pixel of a letterbox bar; `value` is in 0..255.
    void write_bar(float value, float *out) const;

private:
    struct FromYuv {
        float black, luma_factor;
        Float4 blue_factors, red_factors;

        explicit FromYuv(const YuvToRgb &conversion);
        Float4 rgb(float luma, float blue, float red) const;
    };

    enum class Kind { gray, color, yuv };

    template <class Color>
    void write_pixels(Color color, std::size_t count, float *out, std::ptrdiff_t pitch) const;
    float luma(Float4 rgb) const;

    const Kind kind_;
    const bool swap_to_rgb_, bgr_;
    const int channels_;
    float range_factor_ = 1.0f, range_divisor_ = 1.0f;
    Float4 mean_{}, scale_{}; ///< in the order of the output's channels
    const FromYuv yuv_;       ///< of YUV photos only
};

} // namespace mpscnn::vision
