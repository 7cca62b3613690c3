/// Boxes that are rotated about their centres.
#pragma once

#include <array>
#include <span>

#include "vision/boxes.h"

namespace mpscnn::vision {

struct Corner {
    float x, y;
};

/// Return the corners of a box after its rotation, in pixels of an input of `width` x `height`: first the one
/// that was left and top, then clockwise as seen. The angle is in radians; above 0 it turns the x axis
/// towards the y axis.
std::array<Corner, 4> rotated_corners(const Box &box, float angle, int height, int width);

/// Set boxes.rotated. Throws Error(shape) unless there is one angle for each box, Error(parameter) for an
/// angle that is not finite.
void rotate(Boxes &boxes, std::span<const float> angles, int height, int width);

/// Return the overlap of two rotated boxes, 0 to 1: one minus the Hellinger distance of two normal
/// distributions (Llerena et al. 2021, "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union").
/// Detectors of rotated boxes are published with thresholds for it.
float overlap(const Gaussian &a, const Gaussian &b);

} // namespace mpscnn::vision
