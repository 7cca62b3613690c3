/// The part of a photo that fills a part of a network's input.
#pragma once

#include "vision/preprocess.h"

namespace mpscnn::vision {

/// One axis of the upright photo, and the first output that it fills; a letterbox may have bars before it.
struct AxisPlacement {
    Axis axis;
    int first_output;
};

struct Placement {
    AxisPlacement across, down;
};

/// Return the placement of a checked photo, for any fit but digit.
Placement place(const ImageView &image, const Preprocess &options, int out_height, int out_width);

/// Return the same axis of the chroma planes. `reversed` is true if the upright photo runs opposite to the
/// planes, which matters for planes of odd extents and for sitings other than the middle. `siting` is 0 for
/// the vertical axis.
Axis chroma_axis(const Axis &luma, double siting, bool reversed);

/// Return the distance of chroma samples to the left of the middle of their pixels, in chroma samples.
double chroma_shift(ChromaSiting siting);

} // namespace mpscnn::vision
