#include "vision/placement.h"

#include <algorithm>
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

} // namespace

Placement place(const ImageView &image, const Preprocess &options, int out_height, int out_width) {
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

double chroma_shift(ChromaSiting siting) { return siting == ChromaSiting::left ? 0.25 : 0.0; }

/// Return the chroma axis. Chroma sample j covers the two luma pixels [2 j, 2 j + 2). The last one may be
/// half outside the photo.
Axis chroma_axis(const Axis &luma, double siting, bool reversed) {
    const int inputs = chroma_extent(luma.inputs);
    const double shift = reversed ? inputs - luma.inputs / 2.0 - siting : siting;
    return {inputs, luma.start / 2 + shift, luma.extent / 2, luma.outputs};
}

} // namespace mpscnn::vision
