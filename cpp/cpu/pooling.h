#pragma once

// Maximum, average and L2 pooling. Windows are cut at the border of the source, so that no tap lies outside.

#include "cpu/pixel_epilogue.h"
#include "cpu/pooling_reduction.h"
#include "cpu/pooling_taps.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Where an output pixel's taps are.
struct PoolingWindow {
    const float *image;
    const PoolingTaps *vertical, *horizontal;
};

/// Adds one row of the window to `count` vectors of channels.
template <class V, bool partial, class Reduction, int count>
MPSCNN_INLINE void pool_row(const PoolingTask &task, const PoolingWindow &window, const float *row,
                            std::int64_t left, std::int64_t times, Reduction (&states)[count]) {
    const auto add = [&](const float *at, std::int64_t times_in_row) __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v)
            states[v].add(partial ? V::load_partial(at, left) : V::load(at + v * V::width), times_in_row);
    };
    const PoolingTaps &taps = *window.horizontal;
    const std::ptrdiff_t pixel = task.source.pixel_stride, step = pixel * task.horizontal.dilation;
    if (taps.before > 0) add(row, taps.before);
    const float *at = row + taps.first * pixel;
    for (std::int64_t tap = 0; tap < taps.count; ++tap, at += step) add(at, 1);
    if (taps.after > 0) add(row + (task.source.width - 1) * pixel, taps.after);
    for (int v = 0; v < count; ++v) states[v].end_row(times);
}

/// `count` channel vectors of one output pixel.
template <class V, bool partial, class Reduction, int count>
__attribute__((noinline)) void pool_vectors(const PoolingTask &task, const PoolingWindow &window,
                                            std::int64_t image, std::int64_t y, std::int64_t x,
                                            std::int64_t channel) {
    const PoolingTaps &taps = *window.vertical;
    const bool zeros = task.edge == PoolingEdge::zero && (taps.outside || window.horizontal->outside);
    Reduction states[count];
    for (int v = 0; v < count; ++v) states[v].start(zeros ? 0.0f : -__builtin_inff());
    const std::int64_t left = task.destination.channels - channel;
    const auto add_row = [&](std::int64_t row, std::int64_t times) __attribute__((always_inline)) {
        const float *at = window.image + row * task.source.row_stride + channel;
        pool_row<V, partial>(task, window, at, left, times, states);
    };
    if (taps.before > 0) add_row(0, taps.before);
    for (std::int64_t tap = 0; tap < taps.count; ++tap) add_row(taps.first + tap * task.vertical.dilation, 1);
    if (taps.after > 0) add_row(task.source.height - 1, taps.after);
    const auto divisor = static_cast<float>(larger(taps.counted * window.horizontal->counted, 1));
    for (int v = 0; v < count; ++v)
        finish_vector<V>(task.destination, task.epilogue, image, y, x, channel + v * V::width,
                         states[v].result(divisor));
}

/// Channel vectors [vectors) of a row of output pixels.
template <class V, class Reduction>
void pool_output_row(const PoolingTask &task, const PoolingTaps &vertical, const PoolingTaps *columns,
                     std::int64_t image, std::int64_t y, Range vectors) {
    constexpr int block = 4;
    const std::int64_t whole = smaller(vectors.end, task.source.channels / V::width);
    PoolingWindow window{pixel_at(task.source, image, 0, 0), &vertical, nullptr};
    for (std::int64_t x = 0; x < task.destination.width; ++x) {
        window.horizontal = columns + x;
        std::int64_t vector = vectors.begin;
        for (; vector + block <= whole; vector += block)
            pool_vectors<V, false, Reduction, block>(task, window, image, y, x, vector * V::width);
        for (; vector < whole; ++vector)
            pool_vectors<V, false, Reduction, 1>(task, window, image, y, x, vector * V::width);
        for (; vector < vectors.end; ++vector)
            pool_vectors<V, true, Reduction, 1>(task, window, image, y, x, vector * V::width);
    }
}

/// Finds NaN in source rows, each of which is looked at once although several windows read it: maxima of rows
/// without are cheaper.
template <class V> class NanSearch {
public:
    MPSCNN_INLINE NanSearch(const PoolingTask &task, std::int64_t image, Range vectors)
        : from_(task.source), image_(image), vectors_(vectors) {}

    /// Whether rows of the range may hold one; ranges must not begin before earlier ones.
    MPSCNN_INLINE bool found_in(Range rows) {
        for (seen_ = larger(seen_, rows.begin); seen_ < rows.end; ++seen_)
            if (row_has_nan(seen_)) last_ = seen_;
        return last_ >= rows.begin;
    }

private:
    /// Infinities count as NaN here, since x - x is zero for numbers only.
    bool row_has_nan(std::int64_t y) const {
        auto sum = V::zero();
        const float *pixel = pixel_at(from_, image_, y, 0);
        for (std::int64_t x = 0; x < from_.width; ++x, pixel += from_.pixel_stride)
            for (std::int64_t vector = vectors_.begin; vector < vectors_.end; ++vector) {
                const std::int64_t channel = vector * V::width;
                const auto value = load_lanes<V>(pixel + channel, from_.channels - channel);
                sum = V::add(sum, V::sub(value, value));
            }
        return !(V::maximum(sum) == 0.0f);
    }

    const ConstView &from_;
    std::int64_t image_;
    Range vectors_;
    std::int64_t seen_ = 0, last_ = -1;
};

template <class V> WorkSplit pooling_split(const PoolingTask &task, int threads) {
    const View &to = task.destination;
    constexpr std::int64_t least = 1 << 15; // taps: some 5 microseconds
    const std::int64_t taps = smaller(task.vertical.kernel, task.source.height) *
                              smaller(task.horizontal.kernel, task.source.width);
    return split_work(to.batch, to.height, divide_up(to.channels, V::width),
                      to.batch * to.height * to.width * to.channels * taps, least, threads);
}

template <class V> Work pooling_work(const PoolingTask &task, int threads) {
    return {pooling_split<V>(task, threads).items(),
            static_cast<std::size_t>(task.destination.width) * sizeof(PoolingTaps)};
}

template <class V>
void pool_item(const PoolingTask &task, const PoolingTaps *columns, const WorkSplit::Item &item) {
    NanSearch<V> search(task, item.image, item.vectors);
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const PoolingTaps taps = vertical_taps(task, y);
        if (task.kind == PoolingKind::average)
            pool_output_row<V, Mean<V>>(task, taps, columns, item.image, y, item.vectors);
        else if (task.kind == PoolingKind::l2_norm)
            pool_output_row<V, EuclideanNorm<V>>(task, taps, columns, item.image, y, item.vectors);
        else if (search.found_in(taps.reach(task.vertical, task.source.height)))
            pool_output_row<V, MaximumOrNan<V>>(task, taps, columns, item.image, y, item.vectors);
        else
            pool_output_row<V, Maximum<V>>(task, taps, columns, item.image, y, item.vectors);
    }
}

template <class V>
void pooling_run(const PoolingTask &task, int threads, std::int64_t begin, std::int64_t end,
                 std::byte *scratch) {
    const WorkSplit split = pooling_split<V>(task, threads);
    auto *columns = reinterpret_cast<PoolingTaps *>(scratch);
    for (std::int64_t x = 0; x < task.destination.width; ++x) columns[x] = horizontal_taps(task, x);
    for (std::int64_t index = begin; index < end; ++index) pool_item<V>(task, columns, split.item(index));
}

} // namespace
} // namespace mpscnn::cpu
