#pragma once

// Maximum, average and L2 pooling. Windows are clipped at the border of the source, so that no tap is outside
// it.
//
// Registers hold the states of pooling_reduction.h for several vectors of channels, which are independent of
// each other. The speed is limited by loads, one for each tap and vector. Overlapping windows read L1 again.
// Sources that come from memory are slower. Tensors with few channels are slower, too, because they leave
// lanes empty.
//
// Source, result and residual have elements of type V::element. For bfloat16 there are only maxima and means.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/pooling_reduction.h"
#include "cpu/kernels/elementwise/pooling_taps.h"
#include "cpu/kernels/shared/epilogue.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The addresses of an output pixel's taps and of its result.
template <class V> struct PoolingWindow {
    using Element = typename V::element;
    const Element *image;
    const PoolingTaps *vertical, *horizontal;
    Element *result;
    const Element *residual; ///< the residual's pixel, or null
};

/// Add the taps of one row of the window to the states of `count` vectors of channels. The row counts `times`
/// times.
template <class V, bool partial, class Reduction, int count>
MPSCNN_INLINE void pool_row(const PoolingTask &task, const PoolingWindow<V> &window,
                            const typename V::element *row, std::int64_t left, std::int64_t times,
                            Reduction (&states)[count]) {
    const auto add = [&](const typename V::element *at, std::int64_t times_in_row)
        __attribute__((always_inline)) {
#pragma GCC unroll 8
        for (int v = 0; v < count; ++v)
            states[v].add(partial ? V::load_partial(at, left) : V::load(at + v * V::width), times_in_row);
    };
    const PoolingTaps &taps = *window.horizontal;
    const std::ptrdiff_t pixel = task.source.pixel_stride, step = pixel * task.horizontal.dilation;
    if (taps.before > 0) add(row, taps.before);
    const auto *at = row + taps.first * pixel;
    for (std::int64_t tap = 0; tap < taps.count; ++tap, at += step) add(at, 1);
    if (taps.after > 0) add(row + (task.source.width - 1) * pixel, taps.after);
    for (int v = 0; v < count; ++v) states[v].end_row(times);
}

/// Reduce the window of one output pixel for `count` channel vectors.
template <class V, bool partial, class Reduction, int count>
MPSCNN_INLINE void pool_window(const PoolingTask &task, const PoolingWindow<V> &window, std::int64_t channel,
                               Reduction (&states)[count]) {
    const PoolingTaps &taps = *window.vertical;
    const bool zeros = task.edge == EdgeRule::zero && (taps.outside || window.horizontal->outside);
    for (int v = 0; v < count; ++v) states[v].start(zeros ? 0.0f : -__builtin_inff());
    const std::int64_t left = task.destination.channels - channel;
    const auto add_row = [&](std::int64_t row, std::int64_t times) __attribute__((always_inline)) {
        const auto *at = window.image + row * task.source.row_stride + channel;
        pool_row<V, partial>(task, window, at, left, times, states);
    };
    if (taps.before > 0) add_row(0, taps.before);
    for (std::int64_t tap = 0; tap < taps.count; ++tap) add_row(taps.first + tap * task.vertical.dilation, 1);
    if (taps.after > 0) add_row(task.source.height - 1, taps.after);
}

/// Compute again those L2 norms whose squares may have overflowed or underflowed a float.
template <class V, bool partial, int count>
__attribute__((noinline)) void scale_norms(const PoolingTask &task, const PoolingWindow<V> &window,
                                           std::int64_t channel, const EuclideanNorm<V> (&norms)[count],
                                           typename V::reg (&results)[count]) {
    Magnitude<V> magnitudes[count];
    pool_window<V, partial>(task, window, channel, magnitudes);
    auto not_zero = V::zero();
    ScaledNorm<V> scaled[count];
    for (int v = 0; v < count; ++v) {
        const auto beyond = norms[v].beyond_float(task.destination.channels - channel - v * V::width);
        const auto is_zero = V::equal(magnitudes[v].largest, V::zero());
        not_zero = V::add(not_zero, V::select(is_zero, V::zero(), beyond));
        scaled[v].scale_for(magnitudes[v].largest);
    }
    if (V::sum(not_zero) == 0.0f) return;
    pool_window<V, partial>(task, window, channel, scaled);
    for (int v = 0; v < count; ++v) {
        const auto is_beyond = V::less(V::zero(), norms[v].beyond_float(V::width));
        results[v] = V::select(is_beyond, scaled[v].result(1.0f), results[v]);
    }
}

/// Compute `count` channel vectors of one output pixel.
template <class V, bool partial, class Reduction, int count>
__attribute__((noinline)) void pool_vectors(const PoolingTask &task, const PoolingWindow<V> &window,
                                            std::int64_t channel) {
    Reduction states[count];
    pool_window<V, partial>(task, window, channel, states);
    const std::int64_t left = task.destination.channels - channel;
    const auto divisor = static_cast<float>(max(window.vertical->counted * window.horizontal->counted, 1));
    typename V::reg results[1][count];
    for (int v = 0; v < count; ++v) results[0][v] = states[v].result(divisor);
    if constexpr (requires { states[0].beyond_float(left); }) {
        auto beyond = V::zero();
        for (int v = 0; v < count; ++v) beyond = V::add(beyond, states[v].beyond_float(left - v * V::width));
        if (V::sum(beyond) > 0.0f) scale_norms<V, partial, count>(task, window, channel, states, results[0]);
    }
    apply_epilogue<V>(task.epilogue, results, channel, left,
                      window.residual ? window.residual + channel : nullptr, 0);
    const std::int64_t writable = task.destination.writable_channels - channel;
    for (int v = 0; v < count; ++v)
        partial ? store_lanes<V>(window.result + channel, results[0][v], writable)
                : V::store(window.result + channel + v * V::width, results[0][v]);
}

/// Compute a range of channel vectors of each pixel in a row of the output.
template <class V, class Reduction>
void pool_output_row(const PoolingTask &task, const PoolingTaps &vertical, const PoolingTaps *columns,
                     std::int64_t image, std::int64_t y, Range vectors) {
    constexpr int block = 4;
    const std::int64_t whole = min(vectors.end, task.source.channels / V::width);
    const ConstView *residual = task.epilogue.residual;
    using Element = typename V::element;
    PoolingWindow<V> window{pixel_at<Element>(task.source, image, 0, 0), &vertical, nullptr, nullptr,
                            nullptr};
    for (std::int64_t x = 0; x < task.destination.width; ++x) {
        window.horizontal = columns + x;
        window.result = pixel_at<Element>(task.destination, image, y, x);
        if (residual) window.residual = pixel_at<Element>(*residual, image, y, x);
        std::int64_t vector = vectors.begin;
        for (; vector + block <= whole; vector += block)
            pool_vectors<V, false, Reduction, block>(task, window, vector * V::width);
        for (; vector < whole; ++vector)
            pool_vectors<V, false, Reduction, 1>(task, window, vector * V::width);
        for (; vector < vectors.end; ++vector)
            pool_vectors<V, true, Reduction, 1>(task, window, vector * V::width);
    }
}

/// Finds out which source rows have a NaN, because maxima of rows without NaN are cheaper. Each row is
/// searched once, even if several windows read it.
template <class V> class NanSearch {
    using Element = typename V::element;

public:
    MPSCNN_INLINE NanSearch(const PoolingTask &task, std::int64_t image, Range vectors)
        : from_(task.source), image_(image), vectors_(vectors) {}

    /// Return true if rows of the range may have a NaN. Neither end of the range may decrease from one call
    /// to the next.
    MPSCNN_INLINE bool found_in(Range rows) {
        for (seen_ = max(seen_, rows.begin); seen_ < rows.end; ++seen_)
            if (row_has_nan(seen_)) last_ = seen_;
        return last_ >= rows.begin;
    }

private:
    bool row_has_nan(std::int64_t y) const {
        const auto *pixel = pixel_at<Element>(from_, image_, y, 0) + vectors_.begin * V::width;
        const std::int64_t count = min(vectors_.end * V::width, from_.channels) - vectors_.begin * V::width;
        if (count == from_.pixel_stride) return has_nan(pixel, from_.width * count);
        for (std::int64_t x = 0; x < from_.width; ++x, pixel += from_.pixel_stride)
            if (has_nan(pixel, count)) return true;
        return false;
    }

    /// Return true if a value is NaN or infinite: x - x is zero only for finite numbers.
    static MPSCNN_INLINE bool has_nan(const Element *values, std::int64_t count) {
        constexpr int block = 4;
        typename V::reg sums[block];
        for (int v = 0; v < block; ++v) sums[v] = V::zero();
        std::int64_t i = 0;
        for (; i + block * V::width <= count; i += block * V::width)
#pragma GCC unroll 4
            for (int v = 0; v < block; ++v) {
                const auto value = V::load(values + i + v * V::width);
                sums[v] = V::add(sums[v], V::sub(value, value));
            }
        for (; i < count; i += V::width) {
            const auto value = load_lanes<V>(values + i, count - i);
            sums[0] = V::add(sums[0], V::sub(value, value));
        }
        return !(V::maximum(V::add(V::add(sums[0], sums[1]), V::add(sums[2], sums[3]))) == 0.0f);
    }

    const ConstView &from_;
    std::int64_t image_;
    Range vectors_;
    std::int64_t seen_ = 0, last_ = -1;
};

template <class V> WorkSplit pooling_split(const PoolingTask &task, int threads) {
    const View &to = task.destination;
    constexpr std::int64_t min_cost = 1 << 15; // minimum taps in a work item: some 5 microseconds
    const std::int64_t taps =
        min(task.vertical.kernel, task.source.height) * min(task.horizontal.kernel, task.source.width);
    return split_work(to.batch, to.height, divide_up(to.channels, V::width),
                      to.batch * to.height * to.width * to.channels * taps, min_cost, threads);
}

struct PoolingPlan {
    WorkSplit split;
    const PoolingTaps *columns;
};

template <class V> Prepared pooling_prepare(const PoolingTask &task, const Planning &planning) {
    auto *columns = planning.make<PoolingTaps>(task.destination.width);
    if (!columns) return {};
    for (std::int64_t x = 0; x < task.destination.width; ++x) columns[x] = horizontal_taps(task, x);
    const PoolingPlan plan{pooling_split<V>(task, planning.threads), columns};
    return planning.keep(plan, plan.split.items());
}

template <class V>
void pool_item(const PoolingTask &task, const PoolingTaps *columns, const WorkSplit::Item &item) {
    NanSearch<V> search(task, item.image, item.vectors);
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const PoolingTaps taps = vertical_taps(task, y);
        if constexpr (!has_bfloat16<V>)
            if (task.kind == PoolingKind::l2_norm) {
                pool_output_row<V, EuclideanNorm<V>>(task, taps, columns, item.image, y, item.vectors);
                continue;
            }
        if (task.kind == PoolingKind::average)
            pool_output_row<V, Mean<V>>(task, taps, columns, item.image, y, item.vectors);
        else if (search.found_in(PoolingTaps::reach(task.vertical, y, task.source.height)))
            pool_output_row<V, MaximumOrNan<V>>(task, taps, columns, item.image, y, item.vectors);
        else
            pool_output_row<V, Maximum<V>>(task, taps, columns, item.image, y, item.vectors);
    }
}

template <class V>
void pooling_run(const PoolingTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                 Worker &) {
    const auto &plan = prepared.plan_as<PoolingPlan>();
    for (std::int64_t index = begin; index < end; ++index)
        pool_item<V>(task, plan.columns, plan.split.item(index));
}

} // namespace
} // namespace mpscnn::cpu
