#pragma once

// Softmax over the channels of each pixel, e^(x - maximum) / sum of these, and its logarithm.

#include "cpu/lanes.h"
#include "cpu/pixel_epilogue.h"
#include "cpu/simd_math.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Pixels that take each step together: one pixel's sums, maximum and logarithm would have to wait for each
/// other.
struct SoftmaxBlock {
    static constexpr std::int64_t most = 16, cached_floats = 4096;

    const float *from;
    float *to;
    std::ptrdiff_t from_stride, to_stride;
    std::int64_t pixels, channels, writable;
    bool round_to_half;
    alignas(64) float maxima[most], sums[most];
};

/// The largest number: a NaN need not be found here. It comes back in its own exponential, hence in the sum
/// and everywhere.
template <class V> MPSCNN_INLINE float channel_maximum(const float *from, std::int64_t channels) {
    const auto lowest = V::set1(-__builtin_inff());
    if (channels < V::width)
        return V::maximum(
            fill_lanes<V>(V::max(lowest, V::load_partial(from, channels)), channels, -__builtin_inff()));
    auto highest = V::max(lowest, V::load(from + channels - V::width));
    for (std::int64_t c = 0; c + V::width <= channels; c += V::width)
        highest = V::max(highest, V::load(from + c));
    return V::maximum(highest);
}

/// e^(x - maximum) of a vector, of whose lanes `left` exist.
template <class V>
MPSCNN_INLINE typename V::reg shifted_power(const float *from, float maximum, std::int64_t left) {
    return exponential_of_negative<V>(V::sub(load_lanes<V>(from, left), V::set1(maximum)));
}

/// Sums of the exponentials, which take the results' place if asked.
template <class V, bool stores> MPSCNN_INLINE void sum_exponentials(SoftmaxBlock &block) {
    for (std::int64_t p = 0; p < block.pixels; ++p) {
        const float *from = block.from + p * block.from_stride;
        float *to = block.to + p * block.to_stride;
        const float maximum = block.maxima[p] = channel_maximum<V>(from, block.channels);
        auto sums = V::zero();
        std::int64_t c = 0;
        for (; c + V::width <= block.channels; c += V::width) {
            const auto power = shifted_power<V>(from + c, maximum, V::width);
            if constexpr (stores) V::store(to + c, power);
            sums = V::add(sums, power);
        }
        if (const std::int64_t left = block.channels - c; left > 0) {
            const auto power = shifted_power<V>(from + c, maximum, left);
            if constexpr (stores) store_lanes<V>(to + c, power, block.writable - c);
            sums = V::add(sums, fill_lanes<V>(power, left, 0.0f));
        }
        block.sums[p] = V::sum(sums);
    }
}

/// Stores result(pixel, where its vector begins, lanes that exist) for each vector.
template <class V, class Result> MPSCNN_INLINE void store_results(const SoftmaxBlock &block, Result result) {
    for (std::int64_t p = 0; p < block.pixels; ++p) {
        float *to = block.to + p * block.to_stride;
        for (std::int64_t c = 0; c < block.channels; c += V::width) {
            auto value = result(p, c, block.channels - c);
            if (block.round_to_half) value = V::round_to_half(value);
            store_lanes<V>(to + c, value, block.writable - c);
        }
    }
}

template <class V> void softmax_block(SoftmaxBlock &block) {
    sum_exponentials<V, true>(block);
    store_results<V>(block, [&](std::int64_t p, std::int64_t c, std::int64_t left) {
        return V::div(load_lanes<V>(block.to + p * block.to_stride + c, left), V::set1(block.sums[p]));
    });
}

template <class V> void log_softmax_block(SoftmaxBlock &block) {
    sum_exponentials<V, false>(block);
    for (std::int64_t p = block.pixels; p % V::width != 0; ++p) block.sums[p] = 1.0f;
    for (std::int64_t p = 0; p < block.pixels; p += V::width)
        V::store(block.sums + p, scaled_logarithm<V>(V::load(block.sums + p), 1.0f, 0.0f));
    store_results<V>(block, [&](std::int64_t p, std::int64_t c, std::int64_t left) {
        // The maximum first: the difference keeps its digits when x is large.
        const auto x = load_lanes<V>(block.from + p * block.from_stride + c, left);
        return V::sub(V::sub(x, V::set1(block.maxima[p])), V::set1(block.sums[p]));
    });
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
    const ConstView &from = task.source;
    const std::int64_t most = clamped(SoftmaxBlock::cached_floats / to.channels, 1, SoftmaxBlock::most);
    SoftmaxBlock block{};
    block.from_stride = from.pixel_stride, block.to_stride = to.pixel_stride;
    block.channels = to.channels, block.writable = to.writable_channels;
    block.round_to_half = task.round_to_half;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            for (std::int64_t x = 0; x < to.width; x += most) {
                block.from = pixel_at(from, item.image, y, x);
                block.to = pixel_at(to, item.image, y, x);
                block.pixels = smaller(most, to.width - x);
                task.logarithm ? log_softmax_block<V>(block) : softmax_block<V>(block);
            }
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
