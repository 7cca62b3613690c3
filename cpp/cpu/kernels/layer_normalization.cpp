// Normalization of each pixel's channels. Three passes over a pixel, which is in L1 behind the first: the
// sum; the sums of the deviations from the mean and of their squares, the former of which corrects a mean
// that was rounded; the result.
//
// Registers: two times common_sums sums of each kind. Bound by loads and, with few channels, by the square
// root and division of each pixel.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/pixel_epilogue.h"
#include "cpu/kernels/work_split.h"

namespace mpscnn::cpu {
namespace {

struct PixelStatistics {
    float mean, rest, variance; ///< the exact mean is mean + rest
};

template <class V> MPSCNN_INLINE PixelStatistics statistics_of(const float *from, std::int64_t channels) {
    constexpr int blocks = 2, step = blocks * common_sums;
    const std::int64_t whole = channels / step * step;
    const float count = static_cast<float>(channels);
    const auto total = [](CommonSums<V>(&sums)[blocks]) {
        sums[0].join(sums[1], [](typename V::reg a, typename V::reg b) { return V::add(a, b); });
        return V::sum(sums[0].folded());
    };
    CommonSums<V> sums[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
    std::int64_t c = 0;
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
    const float mean = total(sums) / count;

    const auto centre = V::set1(mean);
    CommonSums<V> deviations[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
    CommonSums<V> squares[blocks] = {CommonSums<V>(V::zero()), CommonSums<V>(V::zero())};
    const auto add = [&](int block, std::int64_t element, typename V::reg deviation) {
        auto &sum = deviations[block].of_element(element), &square = squares[block].of_element(element);
        sum = V::add(sum, deviation);
        square = V::fma(deviation, deviation, square);
    };
    for (c = 0; c < whole; c += step)
#pragma GCC unroll 8
        for (int v = 0; v < step; v += V::width)
            add(v / common_sums, v, V::sub(V::load(from + c + v), centre));
    for (; c < channels; c += V::width) {
        const auto deviation = V::sub(load_lanes<V>(from + c, channels - c), centre);
        add(0, c, fill_lanes<V>(deviation, channels - c, 0.0f));
    }
    const float rest = total(deviations) / count;
    const float variance = total(squares) / count - rest * rest;
    return {mean, rest, variance < 0.0f ? 0.0f : variance};
}

template <class V>
void normalize_pixel(const LayerNormalizationTask &task, std::int64_t image, std::int64_t y, std::int64_t x) {
    const std::int64_t channels = task.destination.channels;
    const float *from = pixel_at(task.source, image, y, x);
    const PixelStatistics statistics = statistics_of<V>(from, channels);
    const auto mean = V::set1(statistics.mean), rest = V::set1(statistics.rest);
    const auto scale = V::div(V::set1(1.0f), V::sqrt(V::set1(statistics.variance + task.epsilon)));
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto deviation = V::sub(V::sub(load_lanes<V>(from + c, channels - c), mean), rest);
        auto value = V::mul(deviation, scale);
        if (task.gamma) value = V::mul(value, load_lanes<V>(task.gamma + c, channels - c));
        if (task.beta) value = V::add(value, load_lanes<V>(task.beta + c, channels - c));
        finish_vector<V>(task.destination, task.epilogue, image, y, x, c, value);
    }
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
