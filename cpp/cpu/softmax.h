#pragma once

// Softmax over the channels of each pixel, e^(x - maximum) / sum of these, and its logarithm.

#include "cpu/lanes.h"
#include "cpu/pixel_epilogue.h"
#include "cpu/simd_math.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// A NaN need not reach the maximum: it comes back in its own exponential, hence in the sum and everywhere.
template <class V> MPSCNN_INLINE typename V::reg channel_maximum(const float *from, std::int64_t channels) {
    auto highest = V::set1(-__builtin_inff());
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto x = load_lanes<V>(from + c, channels - c);
        highest = V::max(highest, fill_lanes<V>(x, channels - c, -__builtin_inff()));
    }
    return V::set1(V::maximum(highest));
}

template <class V>
void softmax_pixel(const float *from, float *to, std::int64_t channels, std::int64_t writable,
                   bool round_to_half) {
    const auto maximum = channel_maximum<V>(from, channels);
    auto sums = V::zero();
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto power = exponential<V>(V::sub(load_lanes<V>(from + c, channels - c), maximum));
        store_lanes<V>(to + c, power, writable - c);
        sums = V::add(sums, fill_lanes<V>(power, channels - c, 0.0f));
    }
    const auto sum = V::set1(V::sum(sums));

    for (std::int64_t c = 0; c < channels; c += V::width) {
        auto share = V::div(load_lanes<V>(to + c, channels - c), sum);
        if (round_to_half) share = V::round_to_half(share);
        store_lanes<V>(to + c, share, writable - c);
    }
}

template <class V>
void log_softmax_pixel(const float *from, float *to, std::int64_t channels, std::int64_t writable,
                       bool round_to_half) {
    const auto maximum = channel_maximum<V>(from, channels);
    auto sums = V::zero();
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto power = exponential<V>(V::sub(load_lanes<V>(from + c, channels - c), maximum));
        sums = V::add(sums, fill_lanes<V>(power, channels - c, 0.0f));
    }
    const auto logarithm = scaled_logarithm<V>(V::set1(V::sum(sums)), 1.0f, 0.0f);
    for (std::int64_t c = 0; c < channels; c += V::width) {
        // The maximum first: the difference keeps its digits when x is large.
        auto result = V::sub(V::sub(load_lanes<V>(from + c, channels - c), maximum), logarithm);
        if (round_to_half) result = V::round_to_half(result);
        store_lanes<V>(to + c, result, writable - c);
    }
}

inline WorkSplit softmax_split(const SoftmaxTask &task, int threads) {
    return split_elements(task.destination, threads);
}

template <class V> Work softmax_work(const SoftmaxTask &task, int threads) {
    return {softmax_split(task, threads).items(), 0};
}

template <class V>
void softmax_run(const SoftmaxTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *) {
    const WorkSplit split = softmax_split(task, threads);
    const View &to = task.destination;
    const auto pixel = task.logarithm ? log_softmax_pixel<V> : softmax_pixel<V>;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            for (std::int64_t x = 0; x < to.width; ++x) {
                pixel(pixel_at(task.source, item.image, y, x), pixel_at(to, item.image, y, x), to.channels,
                      to.writable_channels, task.round_to_half);
            }
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
