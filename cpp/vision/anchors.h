/// The boxes that a single-shot detector's numbers are relative to: for each cell of each of its feature
/// maps, row by row, one anchor for each shape of that map.
#pragma once

#include <array>
#include <variant>
#include <vector>

#include "vision/boxes.h"

namespace mpscnn::vision {

/// TensorFlow's generator for SSD. Map i of n has boxes of scale s_i = min + (max - min) i / (n - 1), after
/// the last comes scale 1; a box of scale s and aspect ratio a is s sqrt(a) wide and s / sqrt(a) high, in
/// units of the input's shorter side. Each map has a box for every aspect ratio and one of scale sqrt(s_i
/// s_i+1). Centres lie in the middle of the map's cells.
struct ScaleAnchors {
    std::vector<int> strides{16, 32, 64, 128, 256, 512};
    double min_scale = 0.2, max_scale = 0.95;
    std::vector<double> aspect_ratios{1.0, 2.0, 0.5, 3.0, 0.3333}; ///< width / height
    /// The first map has three boxes only: scale 0.1 with aspect ratio 1, and s_0 with 2 and 1 / 2.
    bool reduce_lowest = true;
    double interpolated_ratio = 1.0; ///< aspect ratio of the box between two scales; 0: there is none

    friend bool operator==(const ScaleAnchors &, const ScaleAnchors &) = default;
};

/// Where a cell's centre lies in an input whose side is not a multiple of the stride.
enum class CenterRule {
    stride, ///< (i + 0.5) * stride pixels
    grid,   ///< (i + 0.5) / cells of the input's side
};

/// Sizes given for each map, as SSD's Caffe models and UltraFace have them.
struct SizeAnchors {
    std::vector<int> strides;
    std::vector<std::vector<std::array<double, 2>>>
        sizes; ///< for each map, of its boxes: width, height in pixels
    CenterRule centers = CenterRule::stride;
    bool clip = false; ///< centres and sizes are limited to 0..1

    friend bool operator==(const SizeAnchors &, const SizeAnchors &) = default;
};

/// The model brings its anchors along.
struct StoredAnchors {
    friend bool operator==(const StoredAnchors &, const StoredAnchors &) = default;
};

/// The network's numbers are edges already.
struct NoAnchors {
    friend bool operator==(const NoAnchors &, const NoAnchors &) = default;
};

using AnchorRule = std::variant<ScaleAnchors, SizeAnchors, StoredAnchors, NoAnchors>;

/// A map of stride s has ceil(height / s) rows and ceil(width / s) columns, as convolutions with SAME padding
/// leave.
inline int cells(int side, int stride) { return (side + stride - 1) / stride; }

/// Throws Error(parameter) for a rule that makes no sense.
void check(const AnchorRule &rule);

/// For an input of this size; `stored` is what StoredAnchors gives. Throws Error(parameter) also for more
/// than a million anchors.
Anchors make_anchors(const AnchorRule &rule, int input_height, int input_width, const Anchors &stored = {});

} // namespace mpscnn::vision
