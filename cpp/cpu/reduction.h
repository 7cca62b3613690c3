#pragma once

// Reductions of one axis. Sums are taken in pieces, so that their error grows with the length of a piece plus
// the number of pieces, not with their product.

#include "cpu/lanes.h"
#include "cpu/pixel_epilogue.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

constexpr std::int64_t longest_piece = 64;

/// 0, or NaN for a NaN: what maxima add up, since they would forget a NaN.
template <class V> MPSCNN_INLINE typename V::reg nan_of(typename V::reg x) {
    return V::max(V::zero(), V::min(V::zero(), x));
}

// Along rows and columns of pixels

/// Largest of `count` vectors `step` apart for each of `vectors` vectors of channels; of `-x` for a minimum.
template <class V, int vectors, bool partial>
MPSCNN_INLINE void maximum_of_pixels(const float *at, std::ptrdiff_t step, std::int64_t count,
                                     std::int64_t left, float sign, typename V::reg (&results)[vectors]) {
    typename V::reg nan[vectors];
    for (int v = 0; v < vectors; ++v) {
        results[v] = V::set1(-__builtin_inff());
        nan[v] = V::zero();
    }
    for (std::int64_t i = 0; i < count; ++i, at += step) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; ++v) {
            const auto x = partial ? V::load_partial(at, left) : V::load(at + v * V::width);
            results[v] = V::max(results[v], V::mul(x, V::set1(sign)));
            nan[v] = V::add(nan[v], nan_of<V>(x));
        }
    }
    for (int v = 0; v < vectors; ++v) results[v] = V::add(V::mul(results[v], V::set1(sign)), nan[v]);
}

template <class V, int vectors, bool partial>
MPSCNN_INLINE void sum_of_pixels(const float *at, std::ptrdiff_t step, std::int64_t count, std::int64_t left,
                                 typename V::reg (&results)[vectors]) {
    for (auto &result : results) result = V::zero();
    while (count > 0) {
        const std::int64_t length = smaller(count, longest_piece);
        typename V::reg piece[vectors];
        for (auto &sum : piece) sum = V::zero();
        for (std::int64_t i = 0; i < length; ++i, at += step) {
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v)
                piece[v] = V::add(piece[v], partial ? V::load_partial(at, left) : V::load(at + v * V::width));
        }
        for (int v = 0; v < vectors; ++v) results[v] = V::add(results[v], piece[v]);
        count -= length;
    }
}

template <class V> MPSCNN_INLINE typename V::reg scaled(const ReductionTask &task, typename V::reg sum) {
    return V::div(V::mul(sum, V::set1(task.factor)), V::set1(task.divisor));
}

MPSCNN_INLINE bool is_sum(const ReductionTask &task) { return task.kind == ReductionKind::sum; }

/// `vectors` vectors of channels of one output pixel.
template <class V, int vectors, bool partial>
__attribute__((noinline)) void reduce_pixels(const ReductionTask &task, const float *at, float *out,
                                             std::int64_t channel) {
    const ConstView &from = task.source;
    const bool down = task.axis == ReductionAxis::height;
    const std::ptrdiff_t step = down ? from.row_stride : from.pixel_stride;
    const std::int64_t count = down ? from.height : from.width, left = from.channels - channel;
    typename V::reg results[vectors];
    if (is_sum(task)) {
        sum_of_pixels<V, vectors, partial>(at + channel, step, count, left, results);
        for (auto &result : results) result = scaled<V>(task, result);
    } else {
        const float sign = task.kind == ReductionKind::max ? 1.0f : -1.0f;
        maximum_of_pixels<V, vectors, partial>(at + channel, step, count, left, sign, results);
    }
    for (int v = 0; v < vectors; ++v) {
        const std::int64_t c = channel + v * V::width;
        const auto result = task.round_to_half ? V::round_to_half(results[v]) : results[v];
        store_lanes<V>(out + c, result, task.destination.writable_channels - c);
    }
}

template <class V> MPSCNN_INLINE void reduce_pixels(const ReductionTask &task, const WorkSplit::Item &item) {
    constexpr int block = 4;
    const bool down = task.axis == ReductionAxis::height;
    const std::int64_t whole = smaller(item.vectors.end, task.source.channels / V::width);
    // `rows` are the output pixels of an image: one row or one column.
    for (std::int64_t pixel = item.rows.begin; pixel < item.rows.end; ++pixel) {
        const std::int64_t y = down ? 0 : pixel, x = down ? pixel : 0;
        const float *at = pixel_at(task.source, item.image, y, x);
        float *out = pixel_at(task.destination, item.image, y, x);
        std::int64_t vector = item.vectors.begin;
        for (; vector + block <= whole; vector += block)
            reduce_pixels<V, block, false>(task, at, out, vector * V::width);
        for (; vector < whole; ++vector) reduce_pixels<V, 1, false>(task, at, out, vector * V::width);
        for (; vector < item.vectors.end; ++vector)
            reduce_pixels<V, 1, true>(task, at, out, vector * V::width);
    }
}

// Over the channels of a pixel

/// In several maxima, which need not wait for each other.
template <class V> float maximum_of_channels(const float *from, std::int64_t channels, float sign) {
    constexpr int block = 4;
    auto highest = V::set1(-__builtin_inff()), nan = V::zero();
    std::int64_t c = 0;
    if (channels >= block * V::width) {
        typename V::reg maxima[block], nans[block];
        for (int v = 0; v < block; ++v) maxima[v] = highest, nans[v] = nan;
        for (; c + block * V::width <= channels; c += block * V::width)
#pragma GCC unroll 4
            for (int v = 0; v < block; ++v) {
                const auto x = V::load(from + c + v * V::width);
                maxima[v] = V::max(maxima[v], V::mul(x, V::set1(sign)));
                nans[v] = V::add(nans[v], nan_of<V>(x));
            }
        highest = V::max(V::max(maxima[0], maxima[1]), V::max(maxima[2], maxima[3]));
        nan = V::add(V::add(nans[0], nans[1]), V::add(nans[2], nans[3]));
    }
    for (; c < channels; c += V::width) {
        const auto x = load_lanes<V>(from + c, channels - c);
        const auto candidate = V::mul(x, V::set1(sign));
        highest = V::max(highest, fill_lanes<V>(candidate, channels - c, -__builtin_inff()));
        nan = V::add(nan, nan_of<V>(x));
    }
    return V::maximum(highest) * sign + V::sum(nan);
}

/// In several sums, which need not wait for each other.
template <class V> float sum_of_channels(const float *from, std::int64_t channels) {
    constexpr int block = 4;
    auto total = V::zero();
    for (std::int64_t begin = 0; begin < channels; begin += longest_piece * block * V::width) {
        const std::int64_t end = smaller(channels, begin + longest_piece * block * V::width);
        typename V::reg sums[block];
        for (auto &sum : sums) sum = V::zero();
        std::int64_t c = begin;
        for (; c + block * V::width <= end; c += block * V::width)
#pragma GCC unroll 4
            for (int v = 0; v < block; ++v) sums[v] = V::add(sums[v], V::load(from + c + v * V::width));
        for (; c < end; c += V::width) sums[0] = V::add(sums[0], load_lanes<V>(from + c, end - c));
        total = V::add(total, V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3])));
    }
    return V::sum(total);
}

/// Stores the only channel of a pixel.
template <class V> MPSCNN_INLINE void store_channel(float *out, float value, bool round_to_half) {
    const auto lanes = V::set1(value);
    V::store_partial(out, round_to_half ? V::round_to_half(lanes) : lanes, 1);
}

/// Pixels of the items: action(image, y, x).
template <class Action>
MPSCNN_INLINE void for_each_pixel(const View &to, const WorkSplit &split, std::int64_t begin,
                                  std::int64_t end, Action action) {
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x) action(item.image, y, x);
    }
}

MPSCNN_INLINE WorkSplit split_source(const ConstView &from, std::int64_t rows, std::int64_t vectors,
                                     int threads) {
    constexpr std::int64_t least = 1 << 14; // elements: some 4 microseconds
    const std::int64_t elements = from.batch * from.height * from.width * from.channels;
    return split_work(from.batch, rows, vectors, elements, least, threads);
}

template <class V> WorkSplit reduction_split(const ReductionTask &task, int threads) {
    const ConstView &from = task.source;
    if (task.axis == ReductionAxis::channels) return split_source(from, from.height, 1, threads);
    const std::int64_t pixels = task.axis == ReductionAxis::height ? from.width : from.height;
    return split_source(from, pixels, divide_up(from.channels, V::width), threads);
}

template <class V> Work reduction_work(const ReductionTask &task, int threads) {
    return {reduction_split<V>(task, threads).items(), 0};
}

template <class V>
void reduction_run(const ReductionTask &task, int threads, std::int64_t begin, std::int64_t end,
                   std::byte *) {
    const WorkSplit split = reduction_split<V>(task, threads);
    if (task.axis != ReductionAxis::channels) {
        for (std::int64_t index = begin; index < end; ++index) reduce_pixels<V>(task, split.item(index));
        return;
    }
    const std::int64_t channels = task.source.channels;
    const float sign = task.kind == ReductionKind::max ? 1.0f : -1.0f;
    for_each_pixel(task.destination, split, begin, end,
                   [&](std::int64_t image, std::int64_t y, std::int64_t x) {
                       const float *from = pixel_at(task.source, image, y, x);
                       const float result =
                           is_sum(task) ? sum_of_channels<V>(from, channels) * task.factor / task.divisor
                                        : maximum_of_channels<V>(from, channels, sign);
                       store_channel<V>(pixel_at(task.destination, image, y, x), result, task.round_to_half);
                   });
}

// The place of an extreme

inline std::int64_t first_nan(const float *from, std::int64_t channels) {
    std::int64_t c = 0;
    while (c < channels && from[c] == from[c]) ++c;
    return c;
}

/// First channel that holds the largest value of sign * x.
template <class V> std::int64_t argument_of_maximum(const float *from, std::int64_t channels, float sign) {
    const auto factor = V::set1(sign), step = V::set1(static_cast<float>(V::width));
    const auto candidate = [&](std::int64_t c) {
        return fill_lanes<V>(V::mul(load_lanes<V>(from + c, channels - c), factor), channels - c,
                             -__builtin_inff());
    };
    auto places = lane_numbers<V>(), best = candidate(0), best_places = places, nan = nan_of<V>(best);
    for (std::int64_t c = V::width; c < channels; c += V::width) {
        places = V::add(places, step);
        const auto x = candidate(c);
        const auto is_better = V::less(best, x);
        best = V::select(is_better, x, best);
        best_places = V::select(is_better, places, best_places);
        nan = V::add(nan, nan_of<V>(x));
    }
    const float has_nan = V::sum(nan);
    if (has_nan != has_nan) return first_nan(from, channels);
    float values[V::width], at[V::width];
    V::store(values, best);
    V::store(at, best_places);
    int chosen = 0;
    for (int lane = 1; lane < V::width; ++lane) {
        const bool is_better = values[lane] > values[chosen];
        const bool is_earlier = values[lane] == values[chosen] && at[lane] < at[chosen];
        if (is_better || is_earlier) chosen = lane;
    }
    return static_cast<std::int64_t>(at[chosen]);
}

template <class V> Work argument_work(const ArgumentTask &task, int threads) {
    return {split_source(task.source, task.source.height, 1, threads).items(), 0};
}

template <class V>
void argument_run(const ArgumentTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *) {
    const WorkSplit split = split_source(task.source, task.source.height, 1, threads);
    const float sign = task.of_maximum ? 1.0f : -1.0f;
    for_each_pixel(
        task.destination, split, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
            const std::int64_t place =
                argument_of_maximum<V>(pixel_at(task.source, image, y, x), task.source.channels, sign);
            store_channel<V>(pixel_at(task.destination, image, y, x), static_cast<float>(place),
                             task.round_to_half);
        });
}

// Weighted sums

template <class V>
float weighted_sum(const float *from, const float *weights, std::int64_t channels, bool divides) {
    auto sum = V::zero(), count = V::zero();
    const auto one = V::set1(1.0f);
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto w = load_lanes<V>(weights + c, channels - c);
        sum = V::fma(load_lanes<V>(from + c, channels - c), w, sum);
        const auto is_positive = V::select(V::less(V::zero(), w), one, V::zero());
        count = V::add(count, V::select(V::less(w, V::zero()), one, is_positive));
    }
    const float total = V::sum(sum), divisor = V::sum(count);
    return divides && divisor > 0.0f ? total / divisor : total;
}

template <class V> Work weighted_reduction_work(const WeightedReductionTask &task, int threads) {
    return {split_source(task.source, task.source.height, 1, threads).items(), 0};
}

template <class V>
void weighted_reduction_run(const WeightedReductionTask &task, int threads, std::int64_t begin,
                            std::int64_t end, std::byte *) {
    const WorkSplit split = split_source(task.source, task.source.height, 1, threads);
    const ConstView &weights = task.second;
    for_each_pixel(
        task.destination, split, begin, end, [&](std::int64_t image, std::int64_t y, std::int64_t x) {
            const float *weight = pixel_at(weights, weights.batch == 1 ? 0 : image,
                                           weights.height == 1 ? 0 : y, weights.width == 1 ? 0 : x);
            const float result = weighted_sum<V>(pixel_at(task.source, image, y, x), weight,
                                                 task.source.channels, task.divides);
            store_channel<V>(pixel_at(task.destination, image, y, x), result, task.round_to_half);
        });
}

} // namespace
} // namespace mpscnn::cpu
