#include "vision/resample.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace mpscnn::vision {

namespace {

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

/// Keys's cubic: "Cubic Convolution Interpolation for Digital Image Processing", 1981. The parameter a is the
/// slope at 1.
double cubic(double x, double a) {
    x = std::abs(x);
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    return x < 2.0 ? (((x - 5.0) * x + 8.0) * x - 4.0) * a : 0.0;
}

constexpr double pillow_slope = -0.5, torch_slope = -0.75;

void nearest_tap(const Axis &axis, double center, Taps &taps) {
    taps.first = static_cast<int>(std::clamp(std::floor(center), 0.0, axis.inputs - 1.0));
    taps.weights.assign(1, 1.0f);
}

void bilinear_taps(const Axis &axis, double center, Taps &taps) {
    const double position = std::clamp(center - 0.5, 0.0, axis.inputs - 1.0);
    taps.first = static_cast<int>(position);
    const double fraction = position - taps.first;
    taps.weights.assign(1, static_cast<float>(1.0 - fraction));
    if (fraction > 0.0) taps.weights.push_back(static_cast<float>(fraction));
}

/// Remove zeros at both ends of the taps.
void trim(Taps &taps) {
    const auto used = [](float weight) { return weight != 0.0f; };
    const auto begin = std::find_if(taps.weights.begin(), taps.weights.end(), used);
    taps.first += static_cast<int>(begin - taps.weights.begin());
    taps.weights.erase(std::find_if(taps.weights.rbegin(), taps.weights.rend(), used).base(),
                       taps.weights.end());
    taps.weights.erase(taps.weights.begin(), begin);
}

void bicubic_taps(const Axis &axis, double center, Taps &taps) {
    const double position = center - 0.5, floor = std::floor(position);
    const double last = axis.inputs - 1.0;
    const auto clamped = [&](double input) { return static_cast<int>(std::clamp(input, 0.0, last)); };
    taps.first = clamped(floor - 1.0);
    std::array<double, 4> weights{};
    for (int i = -1; i <= 2; ++i)
        weights[static_cast<std::size_t>(clamped(floor + i) - taps.first)] +=
            cubic(position - (floor + i), torch_slope);
    const auto count = clamped(floor + 2.0) - taps.first + 1;
    taps.weights.assign(weights.begin(), weights.begin() + count);
    trim(taps);
}

/// Compute the taps of a filter of which `weight` is the kernel and `radius` half of its width.
template <class Weight>
void antialiased_taps(const Axis &axis, double center, double scale, double radius, Weight weight,
                      Taps &taps) {
    const double stretch = std::max(scale, 1.0), support = radius * stretch;
    const auto weight_at = [&](int input) { return weight((input + 0.5 - center) / stretch); };
    int first = static_cast<int>(std::max(0.0, std::floor(center - support)));
    int last = static_cast<int>(std::min(axis.inputs - 1.0, std::ceil(center + support)));
    while (weight_at(first) == 0.0) ++first;
    while (weight_at(last) == 0.0) --last;

    double sum = 0.0;
    for (int input = first; input <= last; ++input) sum += weight_at(input);
    taps.first = first;
    taps.weights.clear();
    for (int input = first; input <= last; ++input)
        taps.weights.push_back(static_cast<float>(weight_at(input) / sum));
}

} // namespace

bool is_copy(const Axis &axis) {
    return axis.extent == axis.outputs && axis.start == std::floor(axis.start) && axis.start >= 0.0 &&
           axis.start + axis.outputs <= axis.inputs;
}

void compute_taps(const Axis &axis, Filter filter, int index, Taps &taps) {
    if (is_copy(axis)) {
        taps.first = static_cast<int>(axis.start) + index;
        taps.weights.assign(1, 1.0f);
        return;
    }
    const double scale = axis.extent / axis.outputs;
    const double center = axis.start + (index + 0.5) * scale;
    switch (filter) {
    case Filter::nearest:
        return nearest_tap(axis, center, taps);
    case Filter::bilinear:
        return bilinear_taps(axis, center, taps);
    case Filter::bilinear_antialias:
        return antialiased_taps(axis, center, scale, 1.0, triangle, taps);
    case Filter::bicubic:
        return bicubic_taps(axis, center, taps);
    case Filter::bicubic_antialias:
        return antialiased_taps(
            axis, center, scale, 2.0, [](double x) { return cubic(x, pillow_slope); }, taps);
    }
}

void mirror(const Axis &axis, Taps &taps) {
    std::reverse(taps.weights.begin(), taps.weights.end());
    taps.first = axis.inputs - taps.end();
}

TapTable::TapTable(const Axis &axis, Filter filter, bool mirrored)
    : first_input_(axis.inputs), end_input_(0) {
    std::vector<Taps> all(static_cast<std::size_t>(axis.outputs));
    int index = 0;
    for (Taps &taps : all) {
        compute_taps(axis, filter, index++, taps);
        if (mirrored) mirror(axis, taps);
        first_input_ = std::min(first_input_, taps.first);
        end_input_ = std::max(end_input_, taps.end());
        stride_ = std::max(stride_, taps.weights.size());
    }
    weights_.resize(all.size() * stride_);
    auto weights = weights_.begin();
    for (const Taps &taps : all) {
        firsts_.push_back(taps.first - first_input_);
        counts_.push_back(static_cast<int>(taps.weights.size()));
        std::copy(taps.weights.begin(), taps.weights.end(), weights);
        weights += static_cast<std::ptrdiff_t>(stride_);
    }
}

} // namespace mpscnn::vision
