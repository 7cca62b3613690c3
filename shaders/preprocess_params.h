#pragma once

#include "image_params.h"

/// The samples of the photo for one column or row of the destination: `count` samples from `first` on, with
/// weights[weight], weights[weight + 1] and so on.
struct PreprocessTaps {
    unsigned int first, count, weight;
};

/// The parameters of the conversion. The array of taps begins with the taps of the stored photo's columns,
/// followed by the taps of its rows and then the taps of a chroma plane.
struct PreprocessParams {
    ImageParams destination;               ///< extents of one image
    unsigned int image;                    ///< number of the image to write in the destination
    unsigned int left, top, width, height; ///< the part of the destination that the photo fills
    unsigned int transposed;               ///< 1: columns of the stored photo become rows of the destination
    unsigned int gray_photo, uses_alpha, bgr;
    /// 1: results are limited to 0..1 in the texture's units. 2: also the sums of the first axis.
    unsigned int limits;
    unsigned int rows_first; ///< 1: the first axis is that of the stored photo's rows
    float bar[3];            ///< values of the bars around the photo, in 0..255
    float mean[3], scale[3]; ///< for red, green and blue, or for gray
    // RGB in 0..255 = (luma - black) * luma_factor + (blue - 128) * blue_factors + (red - 128) * red_factors
    float black, luma_factor, blue_factors[3], red_factors[3];
};
