#pragma once

#include <cstdint>

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// The scores [height][width][classes] of a grid of points that cover a network's input evenly, such as the
/// result of the network's last layer.
struct ScoreGrid {
    const float *scores;
    int height, width, classes;
};

/// The label of pixels that the network did not see, because preprocessing cropped them away. Pascal VOC uses
/// this value for pixels that do not count.
inline constexpr std::uint8_t unseen_label = 255;
inline constexpr int max_label_classes = 255;

/// For each pixel of the upright photo, find the class with the largest score at its centre; for equal
/// scores, the first class. Scores between the grid's points are interpolated bilinearly. Outside the outer
/// points, a pixel has the scores of the nearest point.
///
/// `labels` has room for oriented_height x oriented_width values. `scores` is null or has room for as many
/// values for each class. Scores of pixels that the network did not see are NaN. `input_height` and
/// `input_width` are the size of the network's input. Throws Error(shape) or Error(parameter) like
/// preprocess, and for a grid without points, with one class or with more than max_label_classes.
void label_photo(const ScoreGrid &grid, const ImageView &image, const Preprocess &options, int input_height,
                 int input_width, std::uint8_t *labels, float *scores);

} // namespace mpscnn::vision
