/// Preprocessing: turns a photo into a network's input, in the same way for every engine and language.
///
/// The photo is turned upright by its EXIF orientation, cropped and resized (see Fit and Filter), converted
/// to floats in 0..255 and to the output's channels, and normalised. No step rounds to integers.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "core/work_sharing.h"
#include "vision/image_view.h"
#include "vision/resample.h"

namespace mpscnn::vision {

/// The part of the photo that fills the output. Preprocess::crop_fraction then reduces the part's sides to
/// this fraction around its centre.
enum class Fit {
    stretch,     ///< all of the photo fills the output; the aspect ratio may change
    center_crop, ///< the largest centred part with the output's aspect ratio fills the output
    letterbox,   ///< all of the photo, as large as possible, with bars around or after it
    /// The photo's only character, white on black, placed like the digits of MNIST (vision/digit.h).
    digit,
};

enum class ChannelOrder {
    rgb,
    bgr,
    gray, ///< for colour photos the luma of ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B
};

/// The position of a letterbox's bars: on both sides, or only after the photo, as in TensorFlow's detectors.
enum class LetterboxPosition { center, top_left };

/// The options of preprocessing. Gray photos fill all channels with the same values; transparent photos are
/// drawn on white.
struct Preprocess {
    Fit fit = Fit::stretch;
    /// In (0, 1], with whole_pixels also above 1; 0.875 is usual for the evaluation of ImageNet classifiers.
    double crop_fraction = 1.0;
    /// Resize to a whole number of pixels, and crop or pad by whole pixels, as torchvision and timm do.
    /// crop_fraction is then the share of the resized photo that the output has along its side.
    bool whole_pixels = false;
    Filter filter = Filter::bilinear_antialias;
    ChannelOrder order = ChannelOrder::rgb;
    /// Output = (x - mean) * scale for x in 0..255. The numbers are for red, green and blue, whatever the
    /// order of the output's channels; gray uses the first.
    std::array<float, 3> mean{0.0f, 0.0f, 0.0f};
    std::array<float, 3> scale{1.0f, 1.0f, 1.0f};
    /// Value of the bars, in 0..255 like x, for red, green and blue; gray uses the first.
    std::array<float, 3> letterbox_value{0.0f, 0.0f, 0.0f};
    LetterboxPosition letterbox_position = LetterboxPosition::center;

    int channels() const { return order == ChannelOrder::gray ? 1 : 3; }

    /// Return the preprocessing with which a family of published networks was trained, for an input of 1
    /// (gray) or 3 channels. "tensorflow" gives -1..1, "unit" 0..1 and "none" 0..255. "caffe" (BGR;
    /// ImageNet's mean, times 0.017), "torch" (ImageNet's mean and standard deviation) and "torchvision" (the
    /// same, and the centre of the photo) are for 3 channels only, "mnist" (fit digit, 0..1) for 1 channel
    /// only. Throws Error(parameter).
    static Preprocess named(std::string_view name, int channels = 3);

    friend bool operator==(const Preprocess &, const Preprocess &) = default;
};

/// Maps a point of the output to a point of the upright photo, in pixels. Both use continuous coordinates:
/// pixel i covers [i, i + 1).
struct Transform {
    double scale_x, scale_y; ///< photo pixels per output pixel
    double offset_x, offset_y;

    double photo_x(double output_x) const { return output_x * scale_x + offset_x; }
    double photo_y(double output_y) const { return output_y * scale_y + offset_y; }
};

inline constexpr int largest_output_side = 16384;

/// Throws Error(parameter) for numbers out of range or not finite.
void check(const Preprocess &options);

/// Return the mapping that preprocess applies. Throws like preprocess, and for Fit::digit, which depends on
/// the photo's content.
Transform output_to_photo(const ImageView &image, const Preprocess &options, int out_height, int out_width);

/// Preprocess a photo, and write out[row * row_pitch + column * pixel_pitch + channel]; pitches are in
/// floats. Throws Error(shape) or Error(parameter) before anything is written, with Fit::digit also for
/// photos without a digit. NaN and infinities of float photos only affect the outputs whose filter covers
/// them. The bits of the result do not depend on `share`, which distributes the work.
void preprocess(const ImageView &image, const Preprocess &options, int out_height, int out_width,
                int out_channels, float *out, std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch,
                const WorkSharing &share = run_on_calling_thread);

} // namespace mpscnn::vision
