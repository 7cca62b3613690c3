#include "vision/resample.h"

#include <algorithm>
#include <cmath>

namespace mpscnn::vision {

namespace {

double triangle(double x) { return std::max(0.0, 1.0 - std::abs(x)); }

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

void antialiased_taps(const Axis &axis, double center, double scale, Taps &taps) {
    const double support = std::max(scale, 1.0);
    const auto weight_at = [&](int input) { return triangle((input + 0.5 - center) / support); };
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

void compute_taps(const Axis &axis, Filter filter, int index, Taps &taps) {
    const double scale = axis.extent / axis.outputs;
    const double center = axis.start + (index + 0.5) * scale;
    switch (filter) {
    case Filter::nearest:
        return nearest_tap(axis, center, taps);
    case Filter::bilinear:
        return bilinear_taps(axis, center, taps);
    case Filter::bilinear_antialias:
        return antialiased_taps(axis, center, scale, taps);
    }
}

void mirror(const Axis &axis, Taps &taps) {
    std::reverse(taps.weights.begin(), taps.weights.end());
    taps.first = axis.inputs - taps.first - static_cast<int>(taps.weights.size());
}

TapTable::TapTable(const Axis &axis, Filter filter, bool mirrored)
    : begins_{0}, first_input_(axis.inputs), end_input_(0) {
    Taps taps;
    for (int index = 0; index < axis.outputs; ++index) {
        compute_taps(axis, filter, index, taps);
        if (mirrored) mirror(axis, taps);
        firsts_.push_back(taps.first);
        weights_.insert(weights_.end(), taps.weights.begin(), taps.weights.end());
        begins_.push_back(weights_.size());
        first_input_ = std::min(first_input_, taps.first);
        end_input_ = std::max(end_input_, taps.first + static_cast<int>(taps.weights.size()));
    }
}

template <int colors> void TapTable::resample(const float *inputs, float *outputs) const {
    for (std::size_t index = 0; index < firsts_.size(); ++index) {
        const auto first = static_cast<std::size_t>(firsts_[index] - first_input_);
        const float *input = inputs + first * colors;
        float sums[colors] = {};
        for (std::size_t tap = begins_[index]; tap < begins_[index + 1]; ++tap, input += colors)
            for (int color = 0; color < colors; ++color) sums[color] += weights_[tap] * input[color];
        std::copy_n(sums, colors, outputs + index * colors);
    }
}

void TapTable::resample(const float *inputs, int colors, float *outputs) const {
    if (colors == 1)
        resample<1>(inputs, outputs);
    else
        resample<3>(inputs, outputs);
}

} // namespace mpscnn::vision
