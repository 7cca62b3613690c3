#include "ops/lanczos.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numbers>

namespace mpscnn::ops {

namespace {

constexpr double lobes = 3.0;

/// Whole numbers but 0 are its zeros, which sin() misses by its rounding error. C libraries differ in the
/// last bit of a double, which is lost where weights become float32.
double lanczos(double t) {
    if (t == 0.0) return 1.0;
    if (std::abs(t) >= lobes || t == std::floor(t)) return 0.0;
    const double angle = std::numbers::pi * t;
    return lobes * std::sin(angle) * std::sin(angle / lobes) / (angle * angle);
}

double stretch_of(const ResizeAxis &axis) { return std::max(1.0, axis.numerator / axis.denominator); }

} // namespace

std::int64_t lanczos_taps(const ResizeAxis &axis, std::int64_t size) {
    const double most = std::ceil(2.0 * lobes * stretch_of(axis)) + 1.0;
    return most < static_cast<double>(size) ? static_cast<std::int64_t>(most) : size;
}

LanczosSpan lanczos_weights(const ResizeAxis &axis, std::int64_t size, bool zero_outside, std::int64_t output,
                            float *weights) {
    const double stretch = stretch_of(axis), reach = lobes * stretch;
    const double end = static_cast<double>(size) - 1.0;
    const double position =
        (static_cast<double>(output) + axis.centre) * axis.numerator / axis.denominator + axis.offset;
    if (position <= -reach || position >= end + reach) { // all that is read lies outside
        if (zero_outside) return {};
        weights[0] = 1.0f;
        return {position < 0.0 ? 0 : size - 1, 1};
    }
    const auto low = static_cast<std::int64_t>(std::ceil(position - reach)),
               high = static_cast<std::int64_t>(std::floor(position + reach));
    const auto weight = [&](std::int64_t at) {
        return lanczos((static_cast<double>(at) - position) / stretch);
    };
    double all = 0.0, before = 0.0, behind = 0.0;
    for (std::int64_t at = low; at <= high; ++at) {
        const double own = weight(at);
        all += own;
        if (at < 0) before += own;
        if (at >= size) behind += own;
    }
    if (zero_outside) {
        if (high < 0 || low >= size) return {};
        before = behind = 0.0;
    }
    LanczosSpan span{std::clamp(low, std::int64_t{0}, size - 1), 0};
    for (std::int64_t at = span.first; at <= std::clamp(high, std::int64_t{0}, size - 1); ++at) {
        double own = weight(at);
        if (at == 0) own += before;
        if (at == size - 1) own += behind;
        // A pixel that does not count is not read: it may be infinite.
        if (own == 0.0 && span.count == 0)
            ++span.first;
        else
            weights[span.count++] = static_cast<float>(own / all);
    }
    while (span.count > 0 && weights[span.count - 1] == 0.0f) --span.count;
    if (span.count == 0) span.first = 0;
    return span;
}

} // namespace mpscnn::ops
