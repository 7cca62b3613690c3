#pragma once

#include <cstddef>

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// Write the only character of a photo into a gray input with `Fit::digit`, as `preprocess` does. The caller
/// has checked the arguments.
void write_digit_input(const ImageView &image, const Preprocess &options, int height, int width, float *out,
                       std::ptrdiff_t pixel_pitch, std::ptrdiff_t row_pitch);

} // namespace mpscnn::vision
