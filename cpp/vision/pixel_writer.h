#pragma once

#include <array>
#include <cstddef>

#include "vision/image_view.h"
#include "vision/lanes.h"
#include "vision/preprocess.h"

namespace mpscnn::vision {

/// One sample of each pixel of a row; adjacent pixels are `pitch` floats apart.
struct ResizedSamples {
    const float *first = nullptr;
    std::ptrdiff_t pitch = 0;

    const float *at(std::size_t pixel) const { return first + static_cast<std::ptrdiff_t>(pixel) * pitch; }
};

/// The resized samples of a row, from which its pixels are computed.
struct ResizedRow {
    /// The gray samples, the luma samples of a YUV photo, or all colours. The colours of a pixel are
    /// contiguous, and one more float follows.
    ResizedSamples color;
    ResizedSamples blue{}, red{}; ///< chroma, for YUV photos only
};

/// Converts the resized samples of a photo to the channels of the network's input.
class PixelWriter {
public:
    PixelWriter(const ImageView &image, const Preprocess &options);

    /// Write `count` pixels to out, out + pitch, ...
    void write(const ResizedRow &row, std::size_t count, float *out, std::ptrdiff_t pitch) const;

    /// Write one output pixel of a letterbox bar.
    void write_bar(float *out) const;

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
    bool keeps_samples(const ResizedSamples &color, std::ptrdiff_t pitch) const;
    std::size_t write_whole_vectors(const float *samples, std::size_t count, float *out) const;
    float luma(Float4 rgb) const;

    const Kind kind_;
    const bool swap_to_rgb_, bgr_;
    const int channels_;
    float range_factor_ = 1.0f, range_divisor_ = 1.0f;
    Float4 mean_{}, scale_{}, bar_{}; ///< in the order of the output's channels
    const FromYuv yuv_;               ///< for YUV photos only
};

} // namespace mpscnn::vision
