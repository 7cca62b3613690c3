/// Which part of a photo fills which part of a network's input.
#pragma once

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// One axis of the photo as seen, and the first output that it fills: a letterbox's bars may come before.
struct AxisPlacement {
    Axis axis;
    int first_output;
};

struct Placement {
    AxisPlacement across, down;
};

/// Return the placement of a checked photo, for any fit but digit.
Placement place(const ImageView &image, const Preprocess &options, int out_height, int out_width);

/// The same axis of the colour differences' planes; `reversed` if the photo as seen runs against them, which
/// matters where a plane ends or was taken next to the middle. `siting` is 0 for the vertical axis.
Axis chroma_axis(const Axis &luma, double siting, bool reversed);

/// How far differences lie to the left of the middle of their pixels, in differences.
double chroma_shift(ChromaSiting siting);

} // namespace mpscnn::vision
