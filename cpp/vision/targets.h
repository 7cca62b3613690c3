/// Training targets of a single-shot detector for an image with known objects.
#pragma once

#include <span>

#include "vision/boxes.h"

namespace mpscnn::vision {

/// A known object: its box as fractions of the network's input, and its class. The background has no number.
struct LabelledBox {
    Box box;
    int label;
};

/// The largest number of columns that the scores of an anchor may have.
inline constexpr int max_columns = 1 << 20;

/// Write the training targets of an image. First, match anchors and objects (Liu et al. 2016). Each object
/// gets the anchor with the largest IoU. Each other anchor gets the object with the largest IoU if that
/// reaches `iou_threshold`. Objects are handled by decreasing IoU with their best anchor. If an earlier
/// object already has that anchor, the object gets the best free anchor. For ties, the lower anchor and the
/// lower object win. An object that overlaps no anchor is not learnt.
///
/// Then write for each anchor the code of its object's box, and 1 for its class among `columns` classes, of
/// which the background is the first. An anchor without an object gets zeros and the background. Throws
/// Error(parameter) for boxes outside the image or without area, classes beyond the columns, a threshold that
/// is not above 0 and at most 1, a number of columns that is not from 2 to max_columns, anchors without area,
/// and codes that are not finite. Throws Error(shape) for another size of `targets`.
void write_targets(const Anchors &anchors, const BoxCoding &coding, std::span<const LabelledBox> objects,
                   int columns, float iou_threshold, std::span<float> targets);

} // namespace mpscnn::vision
