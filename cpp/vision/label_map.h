#pragma once

#include <cstdint>

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// Scores [height][width][classes] of points that cover a network's input evenly, such as the result of its
/// last layer.
struct ScoreGrid {
    const float *scores;
    int height, width, classes;
};

/// The label of pixels that the preprocessing cropped away, so the network did not see them. It is Pascal
/// VOC's value for pixels that do not count.
inline constexpr std::uint8_t unseen_label = 255;
inline constexpr int max_label_classes = 255;

/// For each pixel of the photo as seen the class of the greatest score at its centre, the first of equals;
/// scores between the grid's points are bilinear, those beyond its outer points the points' own.
///
/// `labels` has room for oriented_height x oriented_width; `scores` for as many times the classes, NaN where
/// a pixel is unseen, or is null. `input_height` and `input_width` are what `options` made of the photo.
/// Throws Error(shape) or Error(parameter) as preprocess does, and for a grid without points or with more
/// classes than labels hold.
void label_photo(const ScoreGrid &grid, const ImageView &image, const Preprocess &options, int input_height,
                 int input_width, std::uint8_t *labels, float *scores);

} // namespace mpscnn::vision
