#include "vision/digit_ground.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <string>

#include "core/error.h"

namespace mpscnn::vision {

namespace {

/// The minimum contrast of strokes, for brightness from 0 to 255. A smaller contrast could come from
/// artefacts of JPEG compression.
constexpr float min_contrast = 20.0f;
/// The minimum contrast in standard deviations of the noise. Less than one in a million normally distributed
/// pixels is that far from the mean.
constexpr float min_contrast_in_noise = 5.0f;
/// The contrast is measured at the strongest pixels: one in this number of pixels. In a square photo, even a
/// small digit's strokes have more pixels than that.
constexpr std::size_t pixels_per_strongest = 10000;
/// A quarter of a normal distribution's absolute values is below this many standard deviations.
constexpr float quarter_deviation = 0.3186f;
/// Half of a normal distribution's absolute values is below the standard deviation divided by this.
constexpr double half_deviation = 1.4826;

/// The background's brightness as a plane a + b x + c y, with x and y from -1 to 1 over the photo.
using Slope = std::array<double, 3>;

struct Sample {
    double x, y, value;
};

double place(int index, int count) { return (2.0 * index + 1.0) / count - 1.0; }

double height_at(const Slope &slope, double x, double y) { return slope[0] + slope[1] * x + slope[2] * y; }

/// Return samples of the photo for the background's fit: all pixels of the edge, and as many from the whole
/// photo. The edge is mostly background, but a tightly cropped 7 covers most of it. Then the whole photo has
/// more background. If a bold digit fills most of the photo, the edge has more background.
std::vector<Sample> ground_samples(const GrayPlane &photo) {
    std::vector<Sample> samples;
    const auto add = [&](int x, int y) {
        samples.push_back({place(x, photo.width), place(y, photo.height), photo.at(x, y)});
    };
    const int depth = std::max(1, std::min(photo.width, photo.height) / 64);
    for (int y = 0; y < photo.height; ++y) {
        const bool whole_row = y < depth || y >= photo.height - depth;
        for (int x = 0; x < photo.width; ++x) {
            // Jump from the left edge to the right one.
            if (!whole_row && x == depth) x = std::max(x, photo.width - depth);
            add(x, y);
        }
    }
    const std::size_t edge = samples.size();
    for (std::size_t i = 0; i < edge; ++i) {
        const std::size_t index = i * photo.values.size() / edge;
        const auto width = static_cast<std::size_t>(photo.width);
        add(static_cast<int>(index % width), static_cast<int>(index / width));
    }
    return samples;
}

template <class Values> auto quantile(Values values, std::size_t rank) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// Solve a symmetric, positive definite system of three equations, whose right-hand sides are in the last
/// column.
Slope solve(std::array<std::array<double, 4>, 3> rows) {
    for (std::size_t pivot = 0; pivot < 3; ++pivot)
        for (std::size_t row = 0; row < 3; ++row) {
            if (row == pivot) continue;
            const double factor = rows[row][pivot] / rows[pivot][pivot];
            for (std::size_t column = pivot; column < 4; ++column)
                rows[row][column] -= factor * rows[pivot][column];
        }
    return {rows[0][3] / rows[0][0], rows[1][3] / rows[1][1], rows[2][3] / rows[2][2]};
}

/// Make one step of an iteratively reweighted least-squares fit of the background. Samples far from the last
/// fit `slope`, such as strokes at the edge, have a low weight.
Slope refit(const std::vector<Sample> &samples, const Slope &slope) {
    std::vector<double> distances;
    for (const Sample &sample : samples)
        distances.push_back(std::abs(sample.value - height_at(slope, sample.x, sample.y)));
    const double deviation = std::max(1.0, half_deviation * quantile(distances, distances.size() / 2));
    std::array<std::array<double, 4>, 3> rows{};
    for (std::size_t i = 0; i < samples.size(); ++i) {
        const double ratio = distances[i] / deviation;
        const double weight = 1.0 / (1.0 + ratio * ratio); // weight for errors of a Cauchy distribution
        const std::array<double, 4> terms{1.0, samples[i].x, samples[i].y, samples[i].value};
        for (std::size_t row = 0; row < 3; ++row)
            for (std::size_t column = 0; column < 4; ++column)
                rows[row][column] += weight * terms[row] * terms[column];
    }
    // Without this, the system is singular for photos of one row or column.
    for (std::size_t row = 1; row < 3; ++row) rows[row][row] += 1e-3 * rows[0][0];
    return solve(rows);
}

Slope ground_of(const GrayPlane &photo) {
    const std::vector<Sample> samples = ground_samples(photo);
    std::vector<double> values;
    for (const Sample &sample : samples) values.push_back(sample.value);
    Slope slope{quantile(values, values.size() / 2), 0.0, 0.0};
    for (int step = 0; step < 10; ++step) slope = refit(samples, slope);
    return slope;
}

/// Return the photo minus its background; negative where the photo is darker.
GrayPlane differences(const GrayPlane &photo) {
    const Slope slope = ground_of(photo);
    GrayPlane result(photo.width, photo.height);
    for (int y = 0; y < photo.height; ++y)
        for (int x = 0; x < photo.width; ++x) {
            const double ground = height_at(slope, place(x, photo.width), place(y, photo.height));
            result.values[photo.index(x, y)] = static_cast<float>(photo.at(x, y) - ground);
        }
    return result;
}

/// True if the pixels that stand out most are darker than the background.
bool is_dark(const GrayPlane &difference) {
    double dark = 0.0, light = 0.0;
    for (const float value : difference.values) (value < 0.0f ? dark : light) += double{value} * value;
    return dark > light;
}

} // namespace

Ink ink_of(const GrayPlane &photo) {
    if (!std::all_of(photo.values.begin(), photo.values.end(), [](float v) { return std::isfinite(v); }))
        fail(ErrorKind::parameter,
             "preprocess: fit 'digit': the photo has pixels that are not finite numbers");
    Ink ink{differences(photo), 0.0f, 0.0f};
    std::vector<float> &values = ink.plane.values;
    std::vector<float> distances(values);
    for (float &distance : distances) distance = std::abs(distance);
    ink.noise = quantile(distances, distances.size() / 4) / quarter_deviation;
    const float sign = is_dark(ink.plane) ? -1.0f : 1.0f;
    for (float &value : values) value = std::max(0.0f, sign * value);
    const auto shorter = static_cast<std::size_t>(std::min(photo.width, photo.height));
    ink.contrast = quantile(values, values.size() - 1 - shorter * shorter / pixels_per_strongest);

    if (ink.contrast < std::max(min_contrast, min_contrast_in_noise * ink.noise))
        fail(ErrorKind::parameter,
             {"preprocess: fit 'digit': the photo of ", photo.width, "x", photo.height,
              " pixels shows no digit: nothing stands out from its ground (by ", std::lround(ink.contrast),
              " of 255, at least ", std::lround(min_contrast), " and ", std::lround(min_contrast_in_noise),
              " times its noise of ", std::lround(ink.noise), " are needed)"});
    return ink;
}

} // namespace mpscnn::vision
