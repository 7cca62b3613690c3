/// Boxes of detectors, as fractions of the network's input: x is 0 at its left and 1 at its right edge, y is
/// 0 at the top and 1 at the bottom. Many boxes are stored as one array for each number, so that loops over
/// them can be vectorized.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace mpscnn::vision {

/// A box, given by its edges.
struct Box {
    float left, top, right, bottom;
};

/// A rotated box as a normal distribution: its mean and covariance, in pixels of the network's input.
struct Gaussian {
    double x, y, xx, yy, xy;
};

struct Boxes {
    std::vector<float> left, top, right, bottom;
    std::vector<Gaussian> rotated; ///< the rotated boxes (rotated_boxes.h); empty if boxes are upright

    std::size_t size() const { return left.size(); }
    void resize(std::size_t count);
    void set(std::size_t index, const Box &box);
    Box operator[](std::size_t index) const { return {left[index], top[index], right[index], bottom[index]}; }
};

/// Anchors: boxes, given by centre and size, to which a network's numbers are relative.
struct Anchors {
    std::vector<float> x, y, width, height;

    std::size_t size() const { return x.size(); }
    void add(double center_x, double center_y, double box_width, double box_height);
};

/// The largest logarithm of a box's size relative to its anchor. Larger ones are clamped, so that areas stay
/// finite.
inline constexpr float largest_log_size = 40.0f;

/// The order and the scale of the four numbers that a network outputs for each anchor.
struct BoxCoding {
    /// True: the order is y, x, height, width, as in TensorFlow. False: x, y, width, height.
    bool y_first = true;
    /// The factors of the numbers for x, y, width and height, in this order even with y_first.
    std::array<float, 4> variances{0.1f, 0.1f, 0.2f, 0.2f};
    float max_log_size = largest_log_size; ///< larger logarithms of sizes are clamped
    bool clip = false;                     ///< boxes are clipped to the input before suppression
};

/// Throws Error(parameter) unless the variances are finite and above 0, and max_log_size is at most the
/// largest.
void check(const BoxCoding &coding);

/// Decode boxes: centre = code * variance * anchor's size + anchor's centre, size = exp(code * variance) *
/// anchor's size (Liu et al. 2016, "SSD: Single Shot MultiBox Detector"). `codes` has four numbers for each
/// anchor. Throws Error(shape) for another length, Error(parameter) for a code that is NaN or infinite.
void decode_boxes(std::span<const float> codes, const Anchors &anchors, const BoxCoding &coding,
                  Boxes &boxes);

/// Read the boxes of networks that output edges: left, top, right, bottom, or top, left, bottom, right with
/// `y_first`. Throws Error(shape) if there are not four numbers for each box, Error(parameter) for one that
/// is NaN or infinite.
void read_edges(std::span<const float> edges, bool y_first, Boxes &boxes);

/// Clip boxes to the network's input, 0 to 1.
void clip_boxes(Boxes &boxes);

} // namespace mpscnn::vision
