#include "vision/placement.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace mpscnn::vision {

namespace {

Axis centred_axis(int inputs, double extent, int outputs) {
    return {inputs, (inputs - extent) / 2, extent, outputs};
}

/// Return round(length * numerator / denominator), but at least 1. `length` and `denominator` are below
/// 2^31, `numerator` is at most 2^14, and all are above 0.
int scaled_length(int length, int numerator, int denominator) {
    const std::int64_t product = std::int64_t{length} * numerator;
    return static_cast<int>(std::max<std::int64_t>(1, (2 * product + denominator) / (2LL * denominator)));
}

// ---- Whole pixels, as in torchvision and timm ----------------------------------------------------------

/// Return the whole number that is nearest to x, and of two the even one, like Python's round.
double nearest_even(double x) {
    const double below = std::floor(x), fraction = x - below;
    if (fraction == 0.5) return below + std::fmod(below, 2.0);
    return fraction < 0.5 ? below : below + 1.0;
}

/// The size of the whole photo after a resize.
struct Resized {
    double height, width;
};

/// Return the side to which a photo is resized, so that a central crop has `side` pixels. It is bounded, so
/// that products with sides stay finite.
double side_before_crop(int side, double crop_fraction) {
    return std::clamp(std::floor(side / crop_fraction), 1.0, 1e12);
}

/// Return the size with the photo's aspect ratio whose shorter side is `side`, like torchvision's Resize.
Resized shorter_side(double height, double width, double side) {
    return width <= height ? Resized{std::floor(side * height / width), side}
                           : Resized{side, std::floor(side * width / height)};
}

/// Return the size of a photo that has `ratio` pixels for each pixel of the result, like timm's
/// ResizeKeepRatio.
Resized kept_ratio(double height, double width, double ratio) {
    return {std::max(1.0, nearest_even(height / ratio)), std::max(1.0, nearest_even(width / ratio))};
}

Resized resized(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    const double height = image.oriented_height(), width = image.oriented_width();
    const double rows = side_before_crop(out_height, options.crop_fraction),
                 columns = side_before_crop(out_width, options.crop_fraction);
    if (options.fit == Fit::stretch) return {rows, columns};
    if (options.fit == Fit::letterbox)
        return kept_ratio(height, width, std::max(height / rows, width / columns));
    if (rows == columns) return shorter_side(height, width, rows);
    return kept_ratio(height, width, std::min(height / rows, width / columns));
}

/// Return the placement of a photo's axis that becomes `resized` pixels, of which the central ones fill
/// `outputs`. If there are fewer, bars are around them. This is torchvision's CenterCrop.
AxisPlacement whole_axis(int inputs, double resized, int outputs) {
    if (resized <= outputs) {
        const int inner = static_cast<int>(resized);
        return {{inputs, 0.0, static_cast<double>(inputs), inner}, (outputs - inner) / 2};
    }
    const double first = nearest_even((resized - outputs) / 2.0);
    return {{inputs, first * inputs / resized, static_cast<double>(outputs) * inputs / resized, outputs}, 0};
}

Placement place_whole(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    const Resized size = resized(image, options, out_height, out_width);
    return {whole_axis(image.oriented_width(), size.width, out_width),
            whole_axis(image.oriented_height(), size.height, out_height)};
}

} // namespace

Placement place(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
    if (options.whole_pixels) return place_whole(image, options, out_height, out_width);
    const int width = image.oriented_width(), height = image.oriented_height();
    // Compare the aspect ratios width / height and out_width / out_height.
    const std::int64_t wide = std::int64_t{width} * out_height, narrow = std::int64_t{height} * out_width;
    double used_width = width, used_height = height;
    int inner_width = out_width, inner_height = out_height;
    if (options.fit == Fit::center_crop && wide > narrow)
        used_width = static_cast<double>(narrow) / out_height;
    else if (options.fit == Fit::center_crop)
        used_height = static_cast<double>(wide) / out_width;
    else if (options.fit == Fit::letterbox && wide > narrow)
        inner_height = scaled_length(height, out_width, width);
    else if (options.fit == Fit::letterbox)
        inner_width = scaled_length(width, out_height, height);
    const bool centred = options.letterbox_position == LetterboxPosition::center;
    return {{centred_axis(width, used_width * options.crop_fraction, inner_width),
             centred ? (out_width - inner_width) / 2 : 0},
            {centred_axis(height, used_height * options.crop_fraction, inner_height),
             centred ? (out_height - inner_height) / 2 : 0}};
}

bool columns_come_first(const Placement &placement) {
    // The number of pixels by which the whole photo shrinks.
    const auto loss = [](const Axis &axis) { return axis.inputs - axis.inputs * axis.outputs / axis.extent; };
    constexpr double rounding = 1e-6;
    const double height = loss(placement.down.axis), width = loss(placement.across.axis);
    return !(height > rounding && height > 2.0 * width + rounding);
}

double chroma_shift(ChromaSiting siting) { return siting == ChromaSiting::left ? 0.25 : 0.0; }

/// Return the chroma axis. Chroma sample j covers the two luma pixels [2 j, 2 j + 2). The last one may be
/// half outside the photo.
Axis chroma_axis(const Axis &luma, double siting, bool reversed) {
    const int inputs = chroma_extent(luma.inputs);
    const double shift = reversed ? inputs - luma.inputs / 2.0 - siting : siting;
    return {inputs, luma.start / 2 + shift, luma.extent / 2, luma.outputs};
}

} // namespace mpscnn::vision
