/// Anchors: the boxes to which a single-shot detector's numbers are relative. Each cell of each feature map
/// has one anchor for each shape of that map; cells are ordered row by row.
#pragma once

#include <array>
#include <variant>
#include <vector>

#include "vision/boxes.h"

namespace mpscnn::vision {

/// The rule of TensorFlow's anchor generator for SSD. Feature map i of n has boxes of scale s_i = min + (max
/// - min) i / (n - 1); the scale after the last is 1. A box of scale s and aspect ratio a is s sqrt(a) wide
/// and s / sqrt(a) high, in units of the input's shorter side. Each map has a box for every aspect ratio, and
/// one of scale sqrt(s_i s_i+1). The boxes' centres are in the middle of the map's cells.
struct ScaleAnchors {
    std::vector<int> strides{16, 32, 64, 128, 256, 512};
    double min_scale = 0.2, max_scale = 0.95;
    std::vector<double> aspect_ratios{1.0, 2.0, 0.5, 3.0, 0.3333}; ///< width / height
    /// The first map has only three boxes: scale 0.1 with aspect ratio 1, and s_0 with 2 and 1 / 2.
    bool reduce_lowest = true;
    double interpolated_ratio = 1.0; ///< aspect ratio of the box between two scales; 0: no such box

    friend bool operator==(const ScaleAnchors &, const ScaleAnchors &) = default;
};

/// The centre of a cell in an input whose side is not a multiple of the stride.
enum class CenterRule {
    stride, ///< (i + 0.5) * stride pixels
    grid,   ///< (i + 0.5) / cells, as a fraction of the input's side
};

/// The rule of SSD's Caffe models and UltraFace: it lists the sizes of the boxes of each feature map.
struct SizeAnchors {
    std::vector<int> strides;
    /// For each map the width and height of its boxes in pixels.
    std::vector<std::vector<std::array<double, 2>>> sizes;
    CenterRule centers = CenterRule::stride;
    bool clip = false; ///< centres and sizes are clamped to 0..1

    friend bool operator==(const SizeAnchors &, const SizeAnchors &) = default;
};

/// The rule of models whose file contains their anchors.
struct StoredAnchors {
    friend bool operator==(const StoredAnchors &, const StoredAnchors &) = default;
};

/// The rule of networks that output the edges of boxes, so no anchors are needed.
struct NoAnchors {
    friend bool operator==(const NoAnchors &, const NoAnchors &) = default;
};

using AnchorRule = std::variant<ScaleAnchors, SizeAnchors, StoredAnchors, NoAnchors>;

/// Return the number of rows or columns of a feature map with this stride: ceil(side / stride), as after
/// convolutions with SAME padding.
inline int cells(int side, int stride) { return (side + stride - 1) / stride; }

/// Throws Error(parameter) for an invalid rule.
void check(const AnchorRule &rule);

/// Make the anchors for an input of this size. For the rule StoredAnchors these are `stored`. Throws
/// Error(parameter) for an invalid rule, size or stored anchor, and for more than a million anchors.
Anchors make_anchors(const AnchorRule &rule, int input_height, int input_width, const Anchors &stored = {});

} // namespace mpscnn::vision
