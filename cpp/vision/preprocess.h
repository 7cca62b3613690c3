/// How a photo becomes a network's input: the one definition, for every engine and language binding.
///
/// The photo is turned as its EXIF orientation says, cropped and resized (see Fit and Filter), brought to
/// 0..255 floats and the output's channels, and normalised. Nothing is rounded to integers on the way.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "core/work_sharing.h"
#include "vision/image_view.h"
#include "vision/resample.h"

namespace mpscnn::vision {

/// Which part of the photo fills which part of the output. Preprocess::crop_fraction then leaves of that
/// part's sides the centred fraction.
enum class Fit {
    stretch,     ///< all of the photo fills the output, its aspect ratio is not kept
    center_crop, ///< the largest centred part with the output's aspect ratio fills the output
    letterbox,   ///< all of the photo is seen, as large as the output allows, next to or between bars
    digit,       ///< its only character, white on black, placed as the digits of MNIST are (vision/digit.h)
};

enum class ChannelOrder {
    rgb,
    bgr,
    gray, ///< of colour photos the luma 0.299 R + 0.587 G + 0.114 B of ITU-R BT.601
};

/// Where a letterbox leaves its bars: on both sides, or after the photo only, as TensorFlow's detectors do.
enum class LetterboxPosition { center, top_left };

/// Gray photos fill every channel alike; transparent ones are seen on white.
struct Preprocess {
    Fit fit = Fit::stretch;
    double crop_fraction = 1.0; ///< in (0, 1]; 0.875 is customary for evaluating ImageNet classifiers
    Filter filter = Filter::bilinear_antialias;
    ChannelOrder order = ChannelOrder::rgb;
    /// Output = (x - mean) * scale for x in 0..255. Indexed red, green, blue whatever the order of the
    /// output's channels; gray uses the first.
    std::array<float, 3> mean{0.0f, 0.0f, 0.0f};
    std::array<float, 3> scale{1.0f, 1.0f, 1.0f};
    float letterbox_value = 0.0f; ///< of the bars, in 0..255 like x
    LetterboxPosition letterbox_position = LetterboxPosition::center;

    int channels() const { return order == ChannelOrder::gray ? 1 : 3; }

    /// How a family of published networks was trained, for an input of 1 (gray) or 3 channels:
    /// "tensorflow" -1..1, "caffe" (BGR; ImageNet's mean, times 0.017) and "torch" (ImageNet's mean and
    /// standard deviation) with 3 channels only, "unit" 0..1, "none" 0..255, "mnist" with 1 channel only (fit
    /// digit, 0..1). Throws Error(parameter).
    static Preprocess named(std::string_view name, int channels = 3);

    friend bool operator==(const Preprocess &, const Preprocess &) = default;
};

/// Where a point of the output lies in the photo as seen, in pixels. Both are continuous coordinates: pixel i
/// covers [i, i + 1).
struct Transform {
    double scale_x, scale_y; ///< photo pixels per output pixel
    double offset_x, offset_y;

    double photo_x(double output_x) const { return output_x * scale_x + offset_x; }
    double photo_y(double output_y) const { return output_y * scale_y + offset_y; }
};

inline constexpr int largest_output_side = 16384;

/// Throws Error(parameter) for numbers out of range or not finite.
void check(const Preprocess &options);

/// The Transform that preprocess applies. Throws as preprocess does, and for Fit::digit, where it depends on
/// what is on the photo.
Transform output_to_photo(const ImageView &image, const Preprocess &options, int out_height, int out_width);

/// Writes out[row * row_pitch + column * pixel_pitch + channel]; the pitches count floats. Throws
/// Error(shape) or Error(parameter) before anything is written, with Fit::digit also for photos without a
/// digit. NaN and infinities of float photos reach the outputs whose filter covers them, and no others.
/// `share` does not change a bit of the result.
void preprocess(const ImageView &image, const Preprocess &options, int out_height, int out_width,
                int out_channels, float *out, std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch,
                const WorkSharing &share = share_with_nobody);

} // namespace mpscnn::vision
