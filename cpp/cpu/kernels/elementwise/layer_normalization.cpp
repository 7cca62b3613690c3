// Normalizes the channels of each pixel in up to three passes over the pixel, which is in L1 after the first
// one. The first pass adds up the elements. The second adds up the squares of the deviations from the mean,
// and the deviations, which correct the rounding error of the mean. The third computes the result. Norms
// without a mean only need the last two passes. A pixel whose squares are too large or too small for float is
// computed in double.
//
// Registers hold two times common_sums partial sums of each kind. The speed is limited by loads, and with few
// channels by the square root and division of each pixel.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

struct PixelStatistics {
    float mean, rest; ///< the exact mean is mean + rest
    float spread;     ///< the variance, the sum or mean of squares, or the sum of magnitudes
};

/// Compute the mean and the sum of squares (or with `magnitudes`, of magnitudes) of a pixel's channels. With
/// `centred` the sum is over the deviations from the mean. Without `centred` no mean is computed.
template <class V, bool centred, bool magnitudes>
MPSCNN_INLINE PixelStatistics statistics_of(const float *from, std::int64_t channels) {
    constexpr int blocks = 2, step = blocks * common_sums;
    const std::int64_t whole = channels / step * step;
    const float count = static_cast<float>(channels);
    const auto total = [](CommonSums<V>(&sums)[blocks]) {
        sums[0].join(sums[1], [](typename V::reg a, typename V::reg b) { return V::add(a, b); });
        return V::sum(sums[0].folded());
    };
    float mean = 0.0f;
    std::int64_t c = 0;
    if constexpr (centred) {
        CommonSums<V> sums[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
        for (; c < whole; c += step)
#pragma GCC unroll 8
            for (int v = 0; v < step; v += V::width) {
                auto &sum = sums[v / common_sums].of_element(v);
                sum = V::add(sum, V::load(from + c + v));
            }
        for (; c < channels; c += V::width) {
            auto &sum = sums[0].of_element(c);
            sum = V::add(sum, load_lanes<V>(from + c, channels - c));
        }
        mean = total(sums) / count;
    }

    const auto centre = V::set1(mean);
    CommonSums<V> deviations[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
    CommonSums<V> squares[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
    const auto add = [&](int block, std::int64_t element, typename V::reg deviation) {
        auto &square = squares[block].of_element(element);
        if constexpr (centred) {
            auto &sum = deviations[block].of_element(element);
            sum = V::add(sum, deviation);
        }
        if constexpr (magnitudes)
            square = V::add(square, absolute<V>(deviation));
        else
            square = V::fma(deviation, deviation, square);
    };
    const auto deviation_at = [&](const float *at, std::int64_t left) {
        const auto x = load_lanes<V>(at, left);
        return centred ? V::sub(x, centre) : x;
    };
    for (c = 0; c < whole; c += step)
#pragma GCC unroll 8
        for (int v = 0; v < step; v += V::width)
            add(v / common_sums, v, deviation_at(from + c + v, V::width));
    for (; c < channels; c += V::width) {
        const auto deviation = deviation_at(from + c, channels - c);
        add(0, c, centred ? fill_lanes<V>(deviation, channels - c, 0.0f) : deviation);
    }
    const float spread = total(squares);
    if constexpr (!centred) return {0.0f, 0.0f, spread};
    const float rest = total(deviations) / count;
    const float variance = spread / count - rest * rest;
    return {mean, rest, variance < 0.0f ? 0.0f : variance};
}

template <class V>
MPSCNN_INLINE PixelStatistics statistics_of(VectorNorm norm, const float *from, std::int64_t channels) {
    if (norm == VectorNorm::deviation) return statistics_of<V, true, false>(from, channels);
    if (norm == VectorNorm::l1_norm) return statistics_of<V, false, true>(from, channels);
    PixelStatistics result = statistics_of<V, false, false>(from, channels);
    if (norm == VectorNorm::root_mean_square) result.spread /= static_cast<float>(channels);
    return result;
}

/// Return true if float is precise enough for the square of the norm, so that neither it nor its terms
/// overflow or underflow.
MPSCNN_INLINE bool is_in_range(const LayerNormalizationTask &task, float spread) {
    const float epsilon = task.epsilon;
    const float square = spread + (task.epsilon_rule == EpsilonRule::inside ? epsilon : epsilon * epsilon);
    return square >= 1e-30f && square < __builtin_inff();
}

/// Return the norm that values are divided by, with epsilon as the task's rule says.
template <class V> MPSCNN_INLINE typename V::reg norm_of(const LayerNormalizationTask &task, float spread) {
    const auto epsilon = V::set1(task.epsilon);
    auto norm = V::set1(spread);
    if (task.epsilon_rule == EpsilonRule::inside) norm = V::add(norm, epsilon);
    if (task.norm != VectorNorm::l1_norm) norm = V::sqrt(norm);
    if (task.epsilon_rule == EpsilonRule::outside) norm = V::add(norm, epsilon);
    if (task.epsilon_rule == EpsilonRule::minimum) norm = V::max(epsilon, norm);
    return norm;
}

/// Compute the mean and return the scale of a pixel in double. The results are (element - mean) * scale. The
/// scale is 0 for a norm of 0.
inline double wide_scale(const LayerNormalizationTask &task, const float *from, std::int64_t channels,
                         double &mean) {
    const auto count = static_cast<double>(channels), epsilon = static_cast<double>(task.epsilon);
    const bool magnitudes = task.norm == VectorNorm::l1_norm;
    mean = 0.0;
    if (task.norm == VectorNorm::deviation) {
        for (std::int64_t c = 0; c < channels; ++c) mean += static_cast<double>(from[c]);
        mean /= count;
    }
    double norm = 0.0;
    for (std::int64_t c = 0; c < channels; ++c) {
        const double away = static_cast<double>(from[c]) - mean;
        norm += magnitudes ? __builtin_fabs(away) : away * away;
    }
    if (task.norm == VectorNorm::deviation || task.norm == VectorNorm::root_mean_square) norm /= count;
    if (task.epsilon_rule == EpsilonRule::inside) norm += epsilon;
    if (!magnitudes) norm = __builtin_sqrt(norm);
    if (task.epsilon_rule == EpsilonRule::outside) norm += epsilon;
    if (task.epsilon_rule == EpsilonRule::minimum && norm < epsilon) norm = epsilon;
    return norm == 0.0 ? 0.0 : 1.0 / norm;
}

/// Apply gamma, beta and the epilogue to a pixel. value_at(first channel, channels left) returns its
/// normalized channels.
template <class V, class Value>
MPSCNN_INLINE void finish_pixel(const LayerNormalizationTask &task, std::int64_t image, std::int64_t y,
                                std::int64_t x, Value value_at) {
    const std::int64_t channels = task.destination.channels;
    for (std::int64_t c = 0; c < channels; c += V::width) {
        auto value = value_at(c, channels - c);
        if (task.gamma) value = V::mul(value, load_lanes<V>(task.gamma + c, channels - c));
        if (task.beta) value = V::add(value, load_lanes<V>(task.beta + c, channels - c));
        finish_vector<V>(task.destination, task.epilogue, image, y, x, c, value);
    }
}

template <class V>
__attribute__((noinline)) void normalize_wide_pixel(const LayerNormalizationTask &task, std::int64_t image,
                                                    std::int64_t y, std::int64_t x) {
    const float *from = pixel_at(task.source, image, y, x);
    double mean;
    const double scale = wide_scale(task, from, task.destination.channels, mean);
    finish_pixel<V>(task, image, y, x, [&](std::int64_t c, std::int64_t left) {
        float lanes[V::width] = {};
        for (std::int64_t lane = 0; lane < min(left, V::width); ++lane)
            lanes[lane] = static_cast<float>((static_cast<double>(from[c + lane]) - mean) * scale);
        return V::load(lanes);
    });
}

template <class V>
void normalize_pixel(const LayerNormalizationTask &task, std::int64_t image, std::int64_t y, std::int64_t x) {
    const float *from = pixel_at(task.source, image, y, x);
    const PixelStatistics statistics = statistics_of<V>(task.norm, from, task.destination.channels);
    if (!is_in_range(task, statistics.spread)) return normalize_wide_pixel<V>(task, image, y, x);
    const auto mean = V::set1(statistics.mean), rest = V::set1(statistics.rest);
    const auto scale = V::div(V::set1(1.0f), norm_of<V>(task, statistics.spread));
    finish_pixel<V>(task, image, y, x, [&](std::int64_t c, std::int64_t left) {
        return V::mul(V::sub(V::sub(load_lanes<V>(from + c, left), mean), rest), scale);
    });
}

template <class V>
Prepared layer_normalization_prepare(const LayerNormalizationTask &task, const Planning &planning) {
    return prepare_pixels(task.destination, planning);
}

template <class V>
void layer_normalization_run(const LayerNormalizationTask &task, const Prepared &prepared, std::int64_t begin,
                             std::int64_t end, Worker &) {
    for_each_split_pixel(prepared, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
        normalize_pixel<V>(task, image, y, x);
    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(LayerNormalizationTask, layer_normalization)
