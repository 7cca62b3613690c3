// Normalization of each pixel's channels. Three passes over a pixel, which is in L1 behind the first: the
// sum; the sums of the deviations from the mean and of their squares, the former of which corrects a mean
// that was rounded; the result.
//
// Registers: four sums of each kind. Bound by loads and, with few channels, by the square root and division
// of each pixel.

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
    constexpr int block = 4;
    const std::int64_t fours = channels / (block * V::width) * (block * V::width);
    const float count = static_cast<float>(channels);
    typename V::reg sums[block];
    for (auto &sum : sums) sum = V::zero();
    std::int64_t c = 0;
    for (; c < fours; c += block * V::width)
#pragma GCC unroll 4
        for (int v = 0; v < block; ++v) sums[v] = V::add(sums[v], V::load(from + c + v * V::width));
    for (; c < channels; c += V::width) sums[0] = V::add(sums[0], load_lanes<V>(from + c, channels - c));
    const float mean = V::sum(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]))) / count;

    const auto centre = V::set1(mean);
    typename V::reg squares[block];
    for (int v = 0; v < block; ++v) sums[v] = squares[v] = V::zero();
    const auto add = [&](int v, typename V::reg deviation) {
        sums[v] = V::add(sums[v], deviation);
        squares[v] = V::fma(deviation, deviation, squares[v]);
    };
    for (c = 0; c < fours; c += block * V::width)
#pragma GCC unroll 4
        for (int v = 0; v < block; ++v) add(v, V::sub(V::load(from + c + v * V::width), centre));
    for (; c < channels; c += V::width) {
        const auto deviation = V::sub(load_lanes<V>(from + c, channels - c), centre);
        add(0, fill_lanes<V>(deviation, channels - c, 0.0f));
    }
    const float rest = V::sum(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]))) / count;
    const float square = V::sum(V::add(V::add(squares[0], squares[1]), V::add(squares[2], squares[3])));
    const float variance = square / count - rest * rest;
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
