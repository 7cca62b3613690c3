#include "vision/digit.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>

#include "core/error.h"
#include "vision/digit_ground.h"
#include "vision/resample.h"

namespace mpscnn::vision {

namespace {

/// The sides of a digit's box and of the whole image in MNIST, in pixels.
constexpr double box_side = 20.0, image_side = 28.0;
/// The distance of MNIST's centre of mass from the image's middle, in pixels. The centre of mass is in the
/// middle of pixel 14, counted from 0.
constexpr double mass_behind_middle = 0.5;

constexpr int min_side = 5;
constexpr int max_widths_per_height = 3;
/// A mark (connected ink) is dust if its mass is less than this fraction of the largest mark's mass.
constexpr double min_mass = 0.05;
/// The largest gap between the parts of one digit, as a fraction of its longer side.
constexpr double largest_gap = 0.35;
/// Ink below this fraction of the strokes' ink, or below twice the noise, counts as background.
constexpr float palest = 0.1f;

/// The pixels [left, right) x [top, bottom).
struct PixelBox {
    int left, top, right, bottom;

    int width() const { return right - left; }
    int height() const { return bottom - top; }
    int side() const { return std::max(width(), height()); }
    void include(const PixelBox &other) {
        left = std::min(left, other.left);
        top = std::min(top, other.top);
        right = std::max(right, other.right);
        bottom = std::max(bottom, other.bottom);
    }
};

/// A connected set of pixels of ink; pixels that touch at corners are connected.
struct Mark {
    PixelBox box;
    double mass;
};

struct Marks {
    std::vector<Mark> marks;
    std::vector<std::int32_t> labels; ///< the number of each pixel's mark, from 1; 0 for no mark
};

/// Find all pixels of the mark that contains the pixel (x, y), and label them.
Mark trace(const GrayPlane &ink, float threshold, int x, int y, std::int32_t label,
           std::vector<std::int32_t> &labels) {
    Mark mark{{x, y, x + 1, y + 1}, 0.0};
    std::vector<PixelBox> open{mark.box};
    labels[ink.index(x, y)] = label;
    while (!open.empty()) {
        const PixelBox pixel = open.back();
        open.pop_back();
        mark.box.include(pixel);
        mark.mass += ink.at(pixel.left, pixel.top);
        for (int row = std::max(0, pixel.top - 1); row <= std::min(ink.height - 1, pixel.bottom); ++row)
            for (int column = std::max(0, pixel.left - 1); column <= std::min(ink.width - 1, pixel.right);
                 ++column) {
                std::int32_t &neighbour = labels[ink.index(column, row)];
                if (neighbour != 0 || ink.at(column, row) < threshold) continue;
                neighbour = label;
                open.push_back({column, row, column + 1, row + 1});
            }
    }
    return mark;
}

Marks marks_of(const GrayPlane &ink, float threshold) {
    Marks found{{}, std::vector<std::int32_t>(ink.values.size(), 0)};
    for (int y = 0; y < ink.height; ++y)
        for (int x = 0; x < ink.width; ++x)
            if (found.labels[ink.index(x, y)] == 0 && ink.at(x, y) >= threshold)
                found.marks.push_back(trace(ink, threshold, x, y,
                                            static_cast<std::int32_t>(found.marks.size() + 1), found.labels));
    return found;
}

bool touches_edge(const PixelBox &box, const GrayPlane &plane) {
    return box.left == 0 || box.top == 0 || box.right == plane.width || box.bottom == plane.height;
}

/// Return the mark with the largest mass. A mark at the photo's edge may be a shadow, so it is returned only
/// if its mass is many times the mass of every mark that is not at the edge.
const Mark &main_mark(const Marks &found, const GrayPlane &ink) {
    const auto rank = [&](const Mark &mark) {
        return touches_edge(mark.box, ink) ? min_mass * mark.mass : mark.mass;
    };
    return *std::max_element(found.marks.begin(), found.marks.end(),
                             [&](const Mark &a, const Mark &b) { return rank(a) < rank(b); });
}

/// Return the number of pixels between two boxes.
int gap(const PixelBox &a, const PixelBox &b) {
    const int across = std::max({0, a.left - b.right, b.left - a.right});
    const int down = std::max({0, a.top - b.bottom, b.top - a.bottom});
    return std::max(across, down);
}

struct Character {
    std::vector<bool> labels; ///< true for each label whose mark is a part of the character
    PixelBox box;
};

Character character_of(const Marks &found, const GrayPlane &ink) {
    const Mark &main = main_mark(found, ink);
    const bool main_at_edge = touches_edge(main.box, ink);
    Character character{std::vector<bool>(found.marks.size() + 1, false), main.box};
    for (std::size_t i = 0; i < found.marks.size(); ++i) {
        const Mark &mark = found.marks[i];
        const bool belongs = mark.mass >= min_mass * main.mass &&
                             gap(mark.box, main.box) <= largest_gap * main.box.side() &&
                             (main_at_edge || !touches_edge(mark.box, ink));
        if (!belongs) continue;
        character.labels[i + 1] = true;
        character.box.include(mark.box);
    }
    return character;
}

void require_character(const PixelBox &box) {
    const std::string size = concat({box.width(), "x", box.height(), " pixels"});
    if (box.side() < min_side)
        fail(ErrorKind::parameter, {"preprocess: fit 'digit': the largest mark on the photo has ", size,
                                    ", the longer side of a digit needs ", min_side, " or more"});
    if (box.width() > max_widths_per_height * box.height())
        fail(ErrorKind::parameter,
             {"preprocess: fit 'digit': the mark on the photo has ", size, ", no digit is more than ",
              max_widths_per_height, " times as wide as high"});
}

float median_ink(const GrayPlane &ink, const Marks &found, const Character &character) {
    std::vector<float> values;
    for (std::size_t i = 0; i < ink.values.size(); ++i)
        if (character.labels[static_cast<std::size_t>(found.labels[i])]) values.push_back(ink.values[i]);
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// Return the character's ink, from 0 to 1, in a part of the photo that includes the soft edges of its
/// strokes.
GrayPlane strokes_of(const Ink &ink, const Marks &found, const Character &character) {
    const PixelBox &box = character.box;
    const int margin = std::max(2, box.side() / 20);
    const PixelBox part{std::max(0, box.left - margin), std::max(0, box.top - margin),
                        std::min(ink.plane.width, box.right + margin),
                        std::min(ink.plane.height, box.bottom + margin)};
    const float full = median_ink(ink.plane, found, character);
    const float none = std::max(palest * full, 2 * ink.noise);
    GrayPlane strokes(part.width(), part.height());
    for (int y = part.top; y < part.bottom; ++y)
        for (int x = part.left; x < part.right; ++x) {
            const std::int32_t label = found.labels[ink.plane.index(x, y)];
            if (label != 0 && !character.labels[static_cast<std::size_t>(label)]) continue;
            const float share = (ink.plane.at(x, y) - none) / (full - none);
            strokes.values[strokes.index(x - part.left, y - part.top)] = std::clamp(share, 0.0f, 1.0f);
        }
    return strokes;
}

struct Point {
    double x, y;
};

/// Return the centre of mass in pixels; pixel i covers [i, i + 1).
Point centre_of_mass(const GrayPlane &plane) {
    double mass = 0.0, across = 0.0, down = 0.0;
    for (int y = 0; y < plane.height; ++y)
        for (int x = 0; x < plane.width; ++x) {
            const double value = plane.at(x, y);
            mass += value;
            across += value * (x + 0.5);
            down += value * (y + 0.5);
        }
    return {across / mass, down / mass};
}

/// Resampling taps along an axis whose outputs may be partly outside the plane, where there is no ink.
class Window {
public:
    /// Make the taps of `outputs` samples, `scale` inputs apart, so that MNIST's centre of mass is at the
    /// input position `centre`.
    Window(double centre, double scale, int outputs) {
        const double middle = outputs / 2.0 + mass_behind_middle;
        const double start = centre - middle * scale;
        const double support = std::max(1.0, scale);
        before_ = static_cast<int>(std::max(0.0, std::ceil(support - start))) + 2;
        const double end = start + outputs * scale + support;
        const int inputs = before_ + static_cast<int>(std::max(0.0, std::ceil(end))) + 2;
        axis_ = {inputs, start + before_, outputs * scale, outputs};
    }

    /// Call use(input, weight) for the inputs in [0, count) that contribute to an output.
    template <class Use> void for_each(int output, int count, Use use) {
        compute_taps(axis_, Filter::bilinear_antialias, output, taps_);
        for (std::size_t tap = 0; tap < taps_.weights.size(); ++tap) {
            const int input = taps_.first + static_cast<int>(tap) - before_;
            if (input >= 0 && input < count) use(input, taps_.weights[tap]);
        }
    }

private:
    int before_; ///< number of inputs before the plane's first one
    Axis axis_{};
    Taps taps_;
};

std::vector<float> resampled(const GrayPlane &plane, const Point &centre, double scale, int height,
                             int width) {
    std::vector<float> result(static_cast<std::size_t>(height) * static_cast<std::size_t>(width), 0.0f);
    std::vector<float> row(static_cast<std::size_t>(plane.width));
    Window down(centre.y, scale, height), across(centre.x, scale, width);
    for (int y = 0; y < height; ++y) {
        std::fill(row.begin(), row.end(), 0.0f);
        down.for_each(y, plane.height, [&](int input, float weight) {
            for (int x = 0; x < plane.width; ++x)
                row[static_cast<std::size_t>(x)] += weight * plane.at(x, input);
        });
        for (int x = 0; x < width; ++x) {
            float &sum = result[static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                                static_cast<std::size_t>(x)];
            across.for_each(x, plane.width, [&](int input, float weight) {
                sum += weight * row[static_cast<std::size_t>(input)];
            });
        }
    }
    return result;
}

} // namespace

std::vector<float> placed_digit(const GrayPlane &photo, int height, int width) {
    const Ink ink = ink_of(photo);
    const Marks found = marks_of(ink.plane, ink.contrast / 2);
    const Character character = character_of(found, ink.plane);
    require_character(character.box);
    const GrayPlane strokes = strokes_of(ink, found, character);
    const double scale = character.box.side() / (box_side / image_side * std::min(height, width));
    std::vector<float> digit = resampled(strokes, centre_of_mass(strokes), scale, height, width);
    // Strokes thinner than a pixel of the result become pale. MNIST's strokes are white, so scale the
    // brightest to 255.
    const float brightest = *std::max_element(digit.begin(), digit.end());
    for (float &value : digit) value *= 255.0f / brightest;
    return digit;
}

} // namespace mpscnn::vision
