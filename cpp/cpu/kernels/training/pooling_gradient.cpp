// Gradients of poolings: each window adds its gradient to the pixels that it read.
//
// If windows lie side by side, without padding, overlaps and gaps, as with size 2 x 2 and stride 2, each
// pixel's gradient is stored directly. Otherwise windows add to the pixels in a fixed order, so that the bits
// do not depend on the number of threads. A work item writes some rows of pixels, and processes all windows
// that reach these rows.
//
// Registers hold a window's share (see WindowShare), the window's result and one pixel, for one vector of
// channels. The speed is limited by memory, 12 bytes for each pixel and channel of an average, otherwise 16.
// With overlapping windows it is limited by a load and a store for each tap. Tensors with few channels are
// slower, because they leave lanes empty.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/pooling_taps.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Call visit(position, times) for each position that a window reads along an axis, in order.
template <class Visit>
MPSCNN_INLINE void for_each_position(const PoolingTaps &taps, std::int64_t dilation, std::int64_t size,
                                     Visit visit) {
    if (taps.before > 0) visit(0, taps.before);
    for (std::int64_t tap = 0; tap < taps.count; ++tap) visit(taps.first + tap * dilation, 1);
    if (taps.after > 0) visit(size - 1, taps.after);
}

/// Computes the shares of a window's gradient for its pixels, which are visited in order. The gradient of a
/// maximum goes to the first pixel that equals the result, or to none if the result is a zero of the border.
template <class V, PoolingKind kind> struct WindowShare {
    typename V::reg share, result;

    MPSCNN_INLINE WindowShare(typename V::reg gradient, typename V::reg of, float divisor, bool has_zeros)
        : share(gradient), result(of) {
        if constexpr (kind == PoolingKind::average) share = V::div(share, V::set1(divisor));
        if constexpr (kind == PoolingKind::l2_norm)
            share = V::select(V::equal(result, V::zero()), V::zero(), V::div(share, result));
        if constexpr (kind == PoolingKind::max)
            if (has_zeros) share = V::select(V::equal(result, V::zero()), V::zero(), share);
    }
    MPSCNN_INLINE typename V::reg of_pixel(typename V::reg x, std::int64_t times) {
        if constexpr (kind == PoolingKind::average) return share;
        if constexpr (kind == PoolingKind::l2_norm)
            return V::mul(V::mul(x, share), V::set1(static_cast<float>(times)));
        const auto is_largest = V::equal(x, result);
        const auto taken = V::select(is_largest, share, V::zero());
        share = V::select(is_largest, V::zero(), share);
        return taken;
    }
};

/// The addresses of a window's data for one vector of channels.
struct GradientWindow {
    const PoolingTaps *vertical, *horizontal;
    const float *gradient, *result; ///< the window's gradient and result
    const float *image;             ///< the pooling's input
    float *to;                      ///< the gradient of the input
    std::int64_t left, writable;    ///< numbers of channels
};

/// Load a vector; if `partial`, only its first `left` lanes.
template <class V, bool partial>
MPSCNN_INLINE typename V::reg load_channels(const float *at, std::int64_t left) {
    return partial ? V::load_partial(at, left) : V::load(at);
}

template <class V, PoolingKind kind, bool partial>
MPSCNN_INLINE WindowShare<V, kind> share_of(const PoolingGradientTask &task, const GradientWindow &window) {
    const auto divisor = static_cast<float>(max(window.vertical->counted * window.horizontal->counted, 1));
    const bool has_zeros =
        task.pooling.edge == EdgeRule::zero && (window.vertical->outside || window.horizontal->outside);
    return {load_channels<V, partial>(window.gradient, window.left),
            load_channels<V, partial>(window.result, window.left), divisor, has_zeros};
}

/// Add a window's gradient to the pixels in `rows`. With `stores`, store it instead, because no other window
/// reads these pixels.
template <class V, PoolingKind kind, bool stores, bool partial>
__attribute__((noinline)) void spread(const PoolingGradientTask &task, const GradientWindow &window,
                                      const Range &rows) {
    auto share = share_of<V, kind, partial>(task, window);
    const ConstView &from = task.others[0];
    const View &to = task.destination;
    const PoolingTask &pooling = task.pooling;
    for_each_position(
        *window.vertical, pooling.vertical.dilation,
        from.height, [&](std::int64_t y, std::int64_t row_times) __attribute__((always_inline)) {
            const bool is_own = rows.begin <= y && y < rows.end;
            if (!is_own && kind != PoolingKind::max) return;
            for_each_position(
                *window.horizontal, pooling.horizontal.dilation,
                from.width, [&](std::int64_t x, std::int64_t times) __attribute__((always_inline)) {
                    const float *at = window.image + y * from.row_stride + x * from.pixel_stride;
                    auto given =
                        share.of_pixel(load_channels<V, partial>(at, window.left), row_times * times);
                    if (!is_own) return;
                    float *out = window.to + y * to.row_stride + x * to.pixel_stride;
                    if (!stores) given = V::add(load_channels<V, partial>(out, window.left), given);
                    partial ? store_lanes<V>(out, given, window.writable) : V::store(out, given);
                });
        });
}

/// Store the gradient of a 2 x 2 maximum for `vectors` whole vectors of channels. No other window may read
/// its pixels.
template <class V>
MPSCNN_INLINE void store_maxima_of_four(const PoolingGradientTask &task, const GradientWindow &window,
                                        std::int64_t vectors) {
    const ConstView &from = task.others[0];
    const View &to = task.destination;
    const std::int64_t y = window.vertical->first, x = window.horizontal->first;
    const float *at = window.image + y * from.row_stride + x * from.pixel_stride;
    float *out = window.to + y * to.row_stride + x * to.pixel_stride;
    const std::ptrdiff_t steps[4] = {0, from.pixel_stride, from.row_stride,
                                     from.row_stride + from.pixel_stride};
    const std::ptrdiff_t out_steps[4] = {0, to.pixel_stride, to.row_stride, to.row_stride + to.pixel_stride};
    for (std::int64_t v = 0; v < vectors; ++v) {
        const std::int64_t c = v * V::width;
        WindowShare<V, PoolingKind::max> share(V::load(window.gradient + c), V::load(window.result + c), 1.0f,
                                               false);
#pragma GCC unroll 4
        for (int tap = 0; tap < 4; ++tap)
            V::store(out + out_steps[tap] + c, share.of_pixel(V::load(at + steps[tap] + c), 1));
    }
}

/// Write zeros to the channel vectors [vectors) of some rows and columns of pixels.
template <class V>
MPSCNN_INLINE void clear(const View &to, std::int64_t image, const Range &rows, const Range &columns,
                         const Range &vectors) {
    for (std::int64_t y = rows.begin; y < rows.end; ++y)
        for (std::int64_t x = columns.begin; x < columns.end; ++x) {
            float *out = pixel_at(to, image, y, x);
            for (std::int64_t c = vectors.begin * V::width; c < min(vectors.end * V::width, to.channels);
                 c += V::width)
                store_lanes<V>(out + c, V::zero(), to.writable_channels - c);
        }
}

struct PoolingGradientPlan {
    WorkSplit split; ///< rows of windows if `stores`, otherwise rows of pixels
    const PoolingTaps *columns;
    /// True if the windows have neither overlaps nor gaps, so that each pixel belongs to at most one window.
    bool stores;
};

/// True if the windows along an axis are adjacent: from the first position on, without overlap and without
/// gaps.
MPSCNN_INLINE bool lies_side_by_side(const WindowAxis &axis, std::int64_t outputs) {
    return axis.before == 0 && axis.dilation == 1 && (outputs == 1 || axis.stride == axis.kernel);
}

/// Return the pooling's task with its input as the source, which has the extents of the taps.
MPSCNN_INLINE PoolingTask pooling_of(const PoolingGradientTask &task) {
    PoolingTask pooling = task.pooling;
    pooling.source = task.others[0];
    return pooling;
}

template <class V>
Prepared pooling_gradient_prepare(const PoolingGradientTask &task, const Planning &planning) {
    const ConstView &windows = task.source;
    const View &to = task.destination;
    const PoolingTask pooling = pooling_of(task);
    auto *columns = planning.make<PoolingTaps>(windows.width);
    if (!columns) return {};
    for (std::int64_t x = 0; x < windows.width; ++x) columns[x] = horizontal_taps(pooling, x);
    // With EdgeRule::clamp a window may read a position twice, so nothing can be stored directly.
    const bool stores = pooling.edge != EdgeRule::clamp &&
                        lies_side_by_side(pooling.vertical, windows.height) &&
                        lies_side_by_side(pooling.horizontal, windows.width);
    constexpr std::int64_t min_cost = 1 << 14; // minimum taps in a work item
    const std::int64_t taps =
        min(pooling.vertical.kernel, to.height) * min(pooling.horizontal.kernel, to.width);
    const std::int64_t cost = windows.batch * windows.height * windows.width * windows.channels * taps;
    const WorkSplit split =
        split_work(to.batch, stores ? windows.height : to.height, divide_up(to.channels, V::width),
                   max(cost, to.batch * to.height * to.width * to.channels), min_cost, planning.threads);
    return planning.keep(PoolingGradientPlan{split, columns, stores}, split.items());
}

/// Add the gradient of the window at (y, x) to its pixels in `rows`, or store it there if `stores`, for the
/// channel vectors [vectors).
template <class V, PoolingKind kind, bool stores>
MPSCNN_INLINE void spread_window(const PoolingGradientTask &task, GradientWindow window, std::int64_t image,
                                 std::int64_t y, std::int64_t x, const Range &rows, const Range &vectors) {
    const View &to = task.destination;
    const std::int64_t begin = vectors.begin * V::width;
    window.gradient = pixel_at(task.source, image, y, x) + begin;
    window.result = pixel_at(task.others[1], image, y, x) + begin;
    window.image = pixel_at(task.others[0], image, 0, 0) + begin;
    window.to = pixel_at(to, image, 0, 0) + begin;
    std::int64_t vector = vectors.begin;
    const auto skip = [&](std::int64_t count) {
        vector += count;
        for (const float **pointer : {&window.gradient, &window.result, &window.image})
            *pointer += count * V::width;
        window.to += count * V::width;
    };
    constexpr bool is_maximum = kind == PoolingKind::max;
    if (stores && is_maximum && window.vertical->count == 2 && window.horizontal->count == 2 &&
        !window.vertical->outside && !window.horizontal->outside) {
        const std::int64_t whole = max(min(vectors.end, to.channels / V::width) - vectors.begin, 0);
        store_maxima_of_four<V>(task, window, whole);
        skip(whole);
    }
    while (vector < vectors.end) {
        window.left = to.channels - vector * V::width;
        window.writable = to.writable_channels - vector * V::width;
        window.left >= V::width ? spread<V, kind, stores, false>(task, window, rows)
                                : spread<V, kind, stores, true>(task, window, rows);
        skip(1);
    }
}

/// Return the first position after those that a row of adjacent windows reads; `last` are the taps of the
/// last window.
MPSCNN_INLINE std::int64_t covered(const PoolingTaps &last) { return last.first + last.count; }

/// Process all windows of row y, for their pixels in `rows`.
template <class V, PoolingKind kind, bool stores>
MPSCNN_INLINE void spread_row(const PoolingGradientTask &task, const PoolingGradientPlan &plan,
                              const WorkSplit::Item &item, const PoolingTaps &taps, std::int64_t y,
                              const Range &rows) {
    GradientWindow window{};
    window.vertical = &taps;
    for (std::int64_t x = 0; x < task.source.width; ++x) {
        window.horizontal = plan.columns + x;
        spread_window<V, kind, stores>(task, window, item.image, y, x, rows, item.vectors);
    }
}

template <class V, PoolingKind kind>
void pooling_gradient_item(const PoolingGradientTask &task, const PoolingGradientPlan &plan,
                           const WorkSplit::Item &item) {
    const View &to = task.destination;
    const PoolingTask pooling = pooling_of(task);
    const std::int64_t windows = task.source.height;
    const Range all_rows{0, to.height}, all_columns{0, to.width};
    if (!plan.stores) {
        std::int64_t cleared = item.rows.begin; // rows are set to zero just before windows add to them
        for (std::int64_t y = 0; y < windows; ++y) {
            const Range reach = PoolingTaps::reach(pooling.vertical, y, to.height);
            if (reach.begin >= item.rows.end || item.rows.begin >= reach.end) continue;
            const std::int64_t reached = clamped(reach.end, cleared, item.rows.end);
            clear<V>(to, item.image, {cleared, reached}, all_columns, item.vectors);
            cleared = reached;
            spread_row<V, kind, false>(task, plan, item, vertical_taps(pooling, y), y, item.rows);
        }
        clear<V>(to, item.image, {cleared, item.rows.end}, all_columns, item.vectors);
        return;
    }
    const Range behind{covered(plan.columns[task.source.width - 1]), to.width};
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const PoolingTaps taps = vertical_taps(pooling, y);
        spread_row<V, kind, true>(task, plan, item, taps, y, all_rows);
        clear<V>(to, item.image, {taps.first, covered(taps)}, behind, item.vectors);
        if (y + 1 == windows) clear<V>(to, item.image, {covered(taps), to.height}, all_columns, item.vectors);
    }
}

template <class V>
void pooling_gradient_run(const PoolingGradientTask &task, const Prepared &prepared, std::int64_t begin,
                          std::int64_t end, Worker &) {
    const auto &plan = prepared.plan_as<PoolingGradientPlan>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = plan.split.item(index);
        if (task.pooling.kind == PoolingKind::max)
            pooling_gradient_item<V, PoolingKind::max>(task, plan, item);
        else if (task.pooling.kind == PoolingKind::average)
            pooling_gradient_item<V, PoolingKind::average>(task, plan, item);
        else
            pooling_gradient_item<V, PoolingKind::l2_norm>(task, plan, item);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(PoolingGradientTask, pooling_gradient)
