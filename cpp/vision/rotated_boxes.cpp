#include "vision/rotated_boxes.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/error.h"

namespace mpscnn::vision {

namespace {

/// The published formula adds it to denominators, logarithms and roots.
constexpr double epsilon = 1e-7;

struct Sides {
    double x, y, width, height; ///< centre and size in pixels of the input
};

Sides sides_of(const Box &box, int height, int width) {
    const auto middle = [](float low, float high, int extent) {
        return (static_cast<double>(low) + high) / 2 * extent;
    };
    const auto length = [](float low, float high, int extent) {
        return std::max(0.0, static_cast<double>(high) - low) * extent;
    };
    return {middle(box.left, box.right, width), middle(box.top, box.bottom, height),
            length(box.left, box.right, width), length(box.top, box.bottom, height)};
}

/// A box of width w along its axis has the variance w * w / 12 there, as a uniform distribution.
Gaussian gaussian_of(const Sides &sides, double angle) {
    const double along = sides.width * sides.width / 12, across = sides.height * sides.height / 12;
    const double c = std::cos(angle), s = std::sin(angle);
    return {sides.x, sides.y, along * c * c + across * s * s, along * s * s + across * c * c,
            (along - across) * c * s};
}

double determinant(const Gaussian &one) { return std::max(0.0, one.xx * one.yy - one.xy * one.xy); }

} // namespace

std::array<Corner, 4> rotated_corners(const Box &box, float angle, int height, int width) {
    const Sides sides = sides_of(box, height, width);
    const double c = std::cos(static_cast<double>(angle)), s = std::sin(static_cast<double>(angle));
    const auto corner = [&](double x, double y) {
        x *= sides.width;
        y *= sides.height;
        return Corner{static_cast<float>(sides.x + c * x - s * y),
                      static_cast<float>(sides.y + s * x + c * y)};
    };
    return {corner(-0.5, -0.5), corner(0.5, -0.5), corner(0.5, 0.5), corner(-0.5, 0.5)};
}

void rotate(Boxes &boxes, std::span<const float> angles, int height, int width) {
    if (angles.size() != boxes.size())
        fail(ErrorKind::shape, {"detection: ", angles.size(), " angles for ", boxes.size(), " boxes"});
    boxes.rotated.clear();
    boxes.rotated.reserve(angles.size());
    for (std::size_t i = 0; i < angles.size(); ++i) {
        if (!std::isfinite(angles[i]))
            fail(ErrorKind::parameter,
                 {"detection: the angle of box ", i, " is ", angles[i], ", angles must be finite"});
        boxes.rotated.push_back(gaussian_of(sides_of(boxes[i], height, width), angles[i]));
    }
}

float overlap(const Gaussian &a, const Gaussian &b) {
    const double xx = a.xx + b.xx, yy = a.yy + b.yy, xy = a.xy + b.xy, dx = a.x - b.x, dy = a.y - b.y;
    const double both = xx * yy - xy * xy;
    const double places = (xx * dy * dy + yy * dx * dx - 2 * xy * dx * dy) / (both + epsilon) / 4;
    const double spread = std::sqrt(determinant(a) * determinant(b));
    const double shapes = std::log(both / (4 * spread + epsilon) + epsilon) / 2;
    const double distance = std::clamp(places + shapes, epsilon, 100.0);
    return static_cast<float>(1 - std::sqrt(1 - std::exp(-distance) + epsilon));
}

} // namespace mpscnn::vision
