/// Computes which part of a photo fills which part of a network's input.
#pragma once

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// One axis of the upright photo, and the first output that the photo fills. Outputs before that one belong
/// to a bar of the letterbox.
struct AxisPlacement {
    Axis axis;
    int first_output;
};

struct Placement {
    AxisPlacement across, down;
};

/// Return the placement of a photo that check_image accepts, for any fit except digit.
Placement place(const ImageView &image, const Preprocess &options, int out_height, int out_width);

/// True if filters with limits resize the columns axis of the upright photo before its rows axis. It is the
/// order of Pillow 13: rows come first if the height shrinks by more than twice as many pixels as the width.
bool columns_come_first(const Placement &placement);

/// Return the axis of the chroma planes for an axis of luma. `reversed` is true if the upright photo runs
/// opposite to the planes. That matters for planes of odd extents and for sitings other than the middle.
/// `siting` is chroma_shift(), or 0 for the vertical axis.
Axis chroma_axis(const Axis &luma, double siting, bool reversed);

/// Return how far chroma samples are to the left of the middle of their pixels, in chroma samples.
double chroma_shift(ChromaSiting siting);

} // namespace mpscnn::vision
