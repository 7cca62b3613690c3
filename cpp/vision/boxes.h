/// Boxes of detectors, in fractions of the network's input: x from 0 at its left to 1 at its right edge, y
/// in the same way downwards. Many boxes are kept as one array for each number, so that loops over them
/// become vector instructions.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

namespace mpscnn::vision {

/// By its edges.
struct Box {
    float left, top, right, bottom;
};

struct Boxes {
    std::vector<float> left, top, right, bottom;

    std::size_t size() const { return left.size(); }
    void resize(std::size_t count);
    void set(std::size_t index, const Box &box);
    Box operator[](std::size_t index) const { return {left[index], top[index], right[index], bottom[index]}; }
};

/// Boxes by centre and size: those that a network's numbers are relative to.
struct Anchors {
    std::vector<float> x, y, width, height;

    std::size_t size() const { return x.size(); }
    void add(double center_x, double center_y, double box_width, double box_height);
};

/// How a network's four numbers for each anchor are a box.
struct BoxCoding {
    bool y_first = true; ///< they are y, x, height, width, as TensorFlow has them; else x, y, width, height
    /// Of x, y, width and height, whatever the order of the numbers.
    std::array<float, 4> variances{0.1f, 0.1f, 0.2f, 0.2f};
};

/// Sizes beyond e^40 times the anchor's are taken as that, so that areas stay finite.
inline constexpr float largest_log_size = 40.0f;

/// Throws Error(parameter) unless the variances are finite and above 0.
void check(const BoxCoding &coding);

/// centre = code * variance * anchor's size + anchor's centre, size = exp(code * variance) * anchor's size
/// (Liu et al. 2016, "SSD: Single Shot MultiBox Detector"). `codes` has four numbers for each anchor. Throws
/// Error(shape) for another length, Error(parameter) for a code that is NaN or infinite.
void decode_boxes(std::span<const float> codes, const Anchors &anchors, const BoxCoding &coding,
                  Boxes &boxes);

/// For networks that give edges: left, top, right, bottom, or top, left, bottom, right with `y_first`. Throws
/// in the same way.
void read_edges(std::span<const float> edges, bool y_first, Boxes &boxes);

} // namespace mpscnn::vision
