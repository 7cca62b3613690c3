#pragma once

#include "image_params.h"

/// What the photo's samples add to one column or row of the destination: `count` of them from `first` on, by
/// weights[weight], ...
struct PreprocessTaps {
    unsigned int first, count, weight;
};

/// After the photo's taps, for columns and then for rows as they are stored, lie those of a chroma plane.
struct PreprocessParams {
    ImageParams destination;               ///< one image
    unsigned int image;                    ///< which of the destination's
    unsigned int left, top, width, height; ///< of the destination that the photo fills
    unsigned int transposed;               ///< whether a row of the destination shows a stored column
    unsigned int gray_photo, uses_alpha, bgr;
    float bar;               ///< around the photo, in 0..255
    float mean[3], scale[3]; ///< of red, green and blue, or of gray
    // RGB in 0..255 = (luma - black) * luma_factor + (blue - 128) * blue_factors + (red - 128) * red_factors
    float black, luma_factor, blue_factors[3], red_factors[3];
};
