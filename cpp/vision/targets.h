/// What a single-shot detector shall answer for an image whose objects are known.
#pragma once

#include <span>

#include "vision/boxes.h"

namespace mpscnn::vision {

/// An object: its box in fractions of the network's input, and its class, the background not counted.
struct LabelledBox {
    Box box;
    int label;
};

/// The largest number of score columns of an anchor.
inline constexpr int max_columns = 1 << 20;

/// Which anchors learn which objects (Liu et al. 2016): each object's anchor of the largest IoU, and all
/// others whose IoU with one reaches `iou_threshold`, of several objects that of the largest. Objects whose
/// best anchor overlaps them more come first; one whose anchor is taken gets the best of the others. Ties go
/// to the lower anchor and the lower object. An object that no anchor overlaps is not learnt.
///
/// Writes for each anchor the code of its object's box and then, of `columns` classes with the background
/// first, 1 for its class; without an object zeros and the background. Throws Error(parameter) for boxes
/// that are not in the image or have no area, classes beyond the columns, a threshold that is not above 0 and
/// at most 1, and anchors without area; Error(shape) for another size of `targets`.
void write_targets(const Anchors &anchors, const BoxCoding &coding, std::span<const LabelledBox> objects,
                   int columns, float iou_threshold, std::span<float> targets);

} // namespace mpscnn::vision
