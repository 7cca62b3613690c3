#pragma once

// Maximum and average pooling. Windows are cut at the border of the source, so that no tap lies outside.

#include "cpu/pixel_epilogue.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Taps of an output position along one axis: those inside the source, and how many an average counts.
struct PoolingTaps {
    std::int64_t first; ///< source position of the first tap inside
    std::int64_t count, counted;

    MPSCNN_INLINE PoolingTaps(const WindowAxis &window, std::int64_t output, std::int64_t size,
                              std::int64_t counted_before, std::int64_t counted_after) {
        const std::int64_t start = output * window.stride - window.before;
        const Range inside = taps_within(window, start, 0, size);
        first = start + inside.begin * window.dilation;
        count = inside.size();
        counted = taps_within(window, start, -counted_before, size + counted_after).size();
    }

private:
    static MPSCNN_INLINE Range taps_within(const WindowAxis &window, std::int64_t start, std::int64_t low,
                                           std::int64_t high) {
        const std::int64_t begin = clamped(divide_up(low - start, window.dilation), 0, window.kernel);
        return {begin, clamped(divide_up(high - start, window.dilation), begin, window.kernel)};
    }
};

/// A window of `rows` x `columns` taps inside the source.
struct PoolingWindow {
    const float *first;
    std::ptrdiff_t row_step, column_step;
    std::int64_t rows, columns;
};

/// Maxima of `count` vectors of channels; NaN where a tap is one.
template <class V, int count, bool partial>
MPSCNN_INLINE void pool_maximum(const PoolingWindow &window, std::int64_t channel, std::int64_t left,
                                typename V::reg (&results)[count]) {
    typename V::reg nan[count]; // zero, or NaN from the first one on: adding keeps it, a maximum would not
    for (int v = 0; v < count; ++v) {
        results[v] = V::set1(-__builtin_inff());
        nan[v] = V::zero();
    }
    for (std::int64_t row = 0; row < window.rows; ++row) {
        const float *at = window.first + row * window.row_step + channel;
        for (std::int64_t column = 0; column < window.columns; ++column, at += window.column_step) {
#pragma GCC unroll 8
            for (int v = 0; v < count; ++v) {
                const auto x = partial ? V::load_partial(at, left) : V::load(at + v * V::width);
                results[v] = V::max(results[v], x);
                nan[v] = V::add(nan[v], V::max(V::zero(), V::min(V::zero(), x)));
            }
        }
    }
    for (int v = 0; v < count; ++v)
        results[v] = V::select(V::less(nan[v], V::set1(1.0f)), results[v], nan[v]);
}

/// Averages of `count` vectors of channels. Rows are summed on their own first: the rounding error of a large
/// window then grows with its height plus its width, not with their product.
template <class V, int count, bool partial>
MPSCNN_INLINE void pool_average(const PoolingWindow &window, std::int64_t channel, std::int64_t left,
                                float divisor, typename V::reg (&results)[count]) {
    for (int v = 0; v < count; ++v) results[v] = V::zero();
    for (std::int64_t row = 0; row < window.rows; ++row) {
        const float *at = window.first + row * window.row_step + channel;
        typename V::reg sums[count];
        for (int v = 0; v < count; ++v) sums[v] = V::zero();
        for (std::int64_t column = 0; column < window.columns; ++column, at += window.column_step) {
#pragma GCC unroll 8
            for (int v = 0; v < count; ++v) {
                sums[v] = V::add(sums[v], partial ? V::load_partial(at, left) : V::load(at + v * V::width));
            }
        }
        for (int v = 0; v < count; ++v) results[v] = V::add(results[v], sums[v]);
    }
    for (int v = 0; v < count; ++v) results[v] = V::div(results[v], V::set1(divisor));
}

template <class V> WorkSplit pooling_split(const PoolingTask &task, int threads) {
    const View &to = task.destination;
    constexpr std::int64_t least = 1 << 15; // taps: some 5 microseconds
    const std::int64_t taps = smaller(task.vertical.kernel, task.source.height) *
                              smaller(task.horizontal.kernel, task.source.width);
    return split_work(to.batch, to.height, divide_up(to.channels, V::width),
                      to.batch * to.height * to.width * to.channels * taps, least, threads);
}

template <class V> Work pooling_work(const PoolingTask &task, int threads) {
    return {pooling_split<V>(task, threads).items(), 0};
}

/// `count` channel vectors of one output pixel.
template <class V, int count, bool partial>
__attribute__((noinline)) void pool_vectors(const PoolingTask &task, const PoolingWindow &window,
                                            float divisor, std::int64_t image, std::int64_t y, std::int64_t x,
                                            std::int64_t channel) {
    typename V::reg results[count];
    const std::int64_t left = task.destination.channels - channel;
    if (task.kind == PoolingKind::max)
        pool_maximum<V, count, partial>(window, channel, left, results);
    else
        pool_average<V, count, partial>(window, channel, left, divisor, results);
    for (int v = 0; v < count; ++v) {
        finish_vector<V>(task.destination, task.epilogue, image, y, x, channel + v * V::width, results[v]);
    }
}

/// Channel vectors [vectors) of one output pixel.
template <class V>
void pool_pixel(const PoolingTask &task, const PoolingTaps &vertical, std::int64_t image, std::int64_t y,
                std::int64_t x, Range vectors) {
    constexpr int block = 4;
    const ConstView &from = task.source;
    const PoolingTaps horizontal(task.horizontal, x, from.width, task.counted_before_x, task.counted_after_x);
    PoolingWindow window{from.data, from.row_stride * task.vertical.dilation,
                         from.pixel_stride * task.horizontal.dilation, vertical.count, horizontal.count};
    if (window.rows > 0 && window.columns > 0)
        window.first = pixel_at(from, image, vertical.first, horizontal.first);
    const auto divisor = static_cast<float>(larger(vertical.counted * horizontal.counted, 1));
    const std::int64_t whole = smaller(vectors.end, from.channels / V::width);
    std::int64_t vector = vectors.begin;
    for (; vector + block <= whole; vector += block)
        pool_vectors<V, block, false>(task, window, divisor, image, y, x, vector * V::width);
    for (; vector < whole; ++vector)
        pool_vectors<V, 1, false>(task, window, divisor, image, y, x, vector * V::width);
    for (; vector < vectors.end; ++vector)
        pool_vectors<V, 1, true>(task, window, divisor, image, y, x, vector * V::width);
}

template <class V>
void pooling_run(const PoolingTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *) {
    const WorkSplit split = pooling_split<V>(task, threads);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            const PoolingTaps vertical(task.vertical, y, task.source.height, task.counted_before_y,
                                       task.counted_after_y);
            for (std::int64_t x = 0; x < task.destination.width; ++x)
                pool_pixel<V>(task, vertical, item.image, y, x, item.vectors);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
