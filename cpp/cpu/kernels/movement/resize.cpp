// Nearest, bilinear and Lanczos resizes. Bilinear interpolation works in two steps. It interpolates two
// source rows horizontally, once for all output rows between them, and then interpolates between them
// vertically. It works on tiles of columns that are so narrow that both rows stay in L1, or with non-temporal
// stores in L2.
//
// Registers hold two sources and a fraction. The speed is limited by L1: two loads and a store for each
// vertical interpolation. If the result does not fit the caches, it is limited by memory. Stores of a
// bilinear interpolation are then non-temporal if the processor has such stores and there are no gaps between
// pixels, because a cached store would first read the line from memory.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/movement/resize_taps.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Tiles of columns, and the layout of their pixels in scratch memory.
struct ResizeTiles {
    std::int64_t columns;
    std::ptrdiff_t pitch; ///< floats from one pixel to the next in scratch memory
    bool flat;            ///< pixels are as dense in scratch memory as in the destination
    bool non_temporal;
    std::int64_t row_floats;

    template <class V> static MPSCNN_INLINE ResizeTiles of(const ResizeTask &task, const CacheSizes &caches) {
        constexpr std::int64_t size = sizeof(float), rows = 2;
        const std::int64_t wanted_floats = caches.first / rows / size;
        const std::int64_t max_floats = caches.second / 2 / rows / size;
        const View &to = task.destination;
        const std::ptrdiff_t padded = round_up(to.channels, V::width);
        const bool dense = to.pixel_stride == to.channels;
        ResizeTiles tiles;
        tiles.pitch = dense ? to.channels : padded;
        tiles.flat = dense || (to.pixel_stride == padded && to.writable_channels >= padded);
        tiles.non_temporal = V::has_non_temporal_stores && task.non_temporal && tiles.flat;
        // Non-temporal stores of partial cache lines, as at the ends of tiles, are slow. So tiles are wide.
        tiles.columns = clamped((tiles.non_temporal ? max_floats : wanted_floats) / tiles.pitch, 1, to.width);
        // Only whole vectors are stored. The last vector of a pixel reaches into the next pixel.
        tiles.row_floats = round_up(tiles.columns * tiles.pitch + V::width, 16);
        return tiles;
    }
};

template <class V>
MPSCNN_INLINE typename V::reg interpolate(typename V::reg a, typename V::reg b, float fraction) {
    return V::fma(V::set1(fraction), V::sub(b, a), a);
}

template <class V>
MPSCNN_INLINE typename V::reg resize_load(const float *row, std::int32_t column, const ConstView &from,
                                          std::int64_t channel) {
    if (column < 0) return V::zero();
    return load_lanes<V>(row + column * from.pixel_stride + channel, from.channels - channel);
}

/// Interpolate source row y horizontally at the output columns [columns). For y = -1 the row is zeros.
template <class V>
void resize_columns(const ResizeTask &task, std::int64_t image, std::int32_t y, const ResizeTap *taps,
                    Range columns, std::ptrdiff_t pitch, float *out) {
    const ConstView &from = task.source;
    const float *row = pixel_at(from, image, y < 0 ? 0 : y, 0);
    for (std::int64_t x = columns.begin; x < columns.end; ++x, out += pitch) {
        const ResizeTap &tap = taps[x];
        for (std::int64_t c = 0; c < from.channels; c += V::width) {
            if (y < 0)
                V::store(out + c, V::zero());
            else
                V::store(out + c, interpolate<V>(resize_load<V>(row, tap.first, from, c),
                                                 resize_load<V>(row, tap.second, from, c), tap.fraction));
        }
    }
}

/// Interpolate vertically: `count` floats between two rows.
template <class V>
MPSCNN_INLINE void resize_between(const ResizeTask &task, const float *upper, const float *lower,
                                  float fraction, float *out, std::int64_t count, std::int64_t writable,
                                  bool non_temporal) {
    const auto value = [&](std::int64_t i) {
        const auto between = interpolate<V>(V::load(upper + i), V::load(lower + i), fraction);
        return task.round_to_half ? V::round_to_half(between) : between;
    };
    std::int64_t i = 0;
    if constexpr (V::has_non_temporal_stores) {
        if (non_temporal) {
            constexpr std::uintptr_t floats = V::width;
            i = static_cast<std::int64_t>(-(reinterpret_cast<std::uintptr_t>(out) / sizeof(float)) % floats);
            store_lanes<V>(out, value(0), min(i, count));
            for (; i + V::width <= count; i += V::width) V::store_non_temporal(out + i, value(i));
        }
    }
    for (; i < count; i += V::width) store_lanes<V>(out + i, value(i), writable - i);
}

/// Write output columns [columns) of row y from the interpolated source rows `upper` and `lower`.
template <class V>
void resize_row(const ResizeTask &task, std::int64_t image, std::int64_t y, Range columns,
                const ResizeTiles &tiles, const float *upper, const float *lower, float fraction) {
    const View &to = task.destination;
    float *out = pixel_at(to, image, y, columns.begin);
    if (tiles.flat) {
        const std::int64_t count = columns.size() * tiles.pitch;
        resize_between<V>(task, upper, lower, fraction, out, count, count, tiles.non_temporal);
        return;
    }
    for (std::int64_t x = columns.begin; x < columns.end; ++x) {
        resize_between<V>(task, upper, lower, fraction, out, to.channels, to.writable_channels, false);
        out += to.pixel_stride, upper += tiles.pitch, lower += tiles.pitch;
    }
}

/// Compute the rows [rows) of one tile of columns. The two interpolated source rows are reused for all output
/// rows between them.
template <class V>
void resize_tile(const ResizeTask &task, std::int64_t image, Range rows, Range columns, const ResizeTap *taps,
                 const ResizeTiles &tiles, float *upper, float *lower) {
    std::int32_t upper_row = -2, lower_row = -2; // no row yet
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
        const ResizeTap tap = resize_tap(task, task.vertical, y, task.source.height);
        if (tap.first == lower_row) {
            float *const other = upper;
            upper = lower, lower = other;
            lower_row = upper_row, upper_row = tap.first;
        }
        if (tap.first != upper_row)
            resize_columns<V>(task, image, tap.first, taps, columns, tiles.pitch, upper);
        upper_row = tap.first;
        if (tap.second != lower_row)
            resize_columns<V>(task, image, tap.second, taps, columns, tiles.pitch, lower);
        lower_row = tap.second;
        resize_row<V>(task, image, y, columns, tiles, upper, lower, tap.fraction);
    }
}

template <class V>
void resize_nearest_row(const ResizeTask &task, std::int64_t image, std::int64_t y, const ResizeTap *taps) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    const std::int32_t source = resize_tap(task, task.vertical, y, from.height).first;
    const float *row = pixel_at(from, image, source < 0 ? 0 : source, 0);
    float *out = pixel_at(to, image, y, 0);
    for (std::int64_t x = 0; x < to.width; ++x, out += to.pixel_stride) {
        const std::int32_t column = source < 0 ? -1 : taps[x].first;
        std::int64_t c = 0;
        if (column >= 0 && !task.round_to_half) {
            const float *pixel = row + column * from.pixel_stride;
#pragma GCC unroll 4
            for (; c + V::width <= to.channels; c += V::width) V::store(out + c, V::load(pixel + c));
        }
        for (; c < to.channels; c += V::width) {
            auto value = resize_load<V>(row, column, from, c);
            if (task.round_to_half) value = V::round_to_half(value);
            store_lanes<V>(out + c, value, to.writable_channels - c);
        }
    }
}

/// The source positions, along one axis, whose weighted sum is an output of the Lanczos filter.
struct ResizeSpan {
    std::int32_t first;
    std::int32_t count;
    const float *weights;
};

/// The plan of a Lanczos resize. Each source row is filtered horizontally once for all output rows of an
/// item. The filtered row y is kept in a ring buffer of rows, in slot y % slots.
struct ResizeFilter {
    const ResizeSpan *rows, *columns;
    std::int64_t slots;
    std::ptrdiff_t pitch; ///< floats from one pixel to the next in a slot
    bool flat;            ///< pixels are as dense in a slot as in the destination
    std::int64_t row_floats;

    std::size_t scratch_bytes() const {
        return static_cast<std::size_t>(slots) *
               (static_cast<std::size_t>(row_floats) * sizeof(float) + sizeof(std::int64_t));
    }
};

/// Compute the taps of all outputs along an axis. The weights are computed twice, first to count them,
/// because an output far outside the source has only one.
inline const ResizeSpan *resize_spans(const ResizeTask &task, const ResizePositions &axis, std::int64_t taps,
                                      std::int64_t outputs, std::int64_t size, const Planning &planning) {
    auto *spans = planning.make<ResizeSpan>(outputs);
    auto *own = planning.make<float>(taps);
    if (!spans || !own) return nullptr;
    std::int64_t count = taps; // the weights of the last output may be padded with zeros
    for (std::int64_t output = 0; output < outputs; ++output)
        count += task.weights(axis, size, task.zero_outside, output, spans[output].first, own);
    auto *weights = planning.make<float>(count);
    if (!weights) return nullptr;
    for (std::int64_t output = 0; output < outputs; ++output) {
        ResizeSpan &span = spans[output];
        span.count = static_cast<std::int32_t>(
            task.weights(axis, size, task.zero_outside, output, span.first, weights));
        span.weights = weights;
        weights += span.count;
    }
    return spans;
}

template <class V> ResizeFilter resize_filter(const ResizeTask &task, const Planning &planning) {
    const View &to = task.destination;
    const ConstView &from = task.source;
    const std::ptrdiff_t padded = round_up(to.channels, V::width);
    const bool dense = to.pixel_stride == to.channels;
    ResizeFilter filter{};
    filter.rows = resize_spans(task, task.vertical, task.vertical_taps, to.height, from.height, planning);
    filter.columns =
        resize_spans(task, task.horizontal, task.horizontal_taps, to.width, from.width, planning);
    filter.slots = max(task.vertical_taps, 1);
    filter.pitch = dense ? to.channels : padded;
    filter.flat = dense || (to.pixel_stride == padded && to.writable_channels >= padded);
    // Only whole vectors are stored. The last vector of a pixel reaches into the next pixel.
    filter.row_floats = round_up(to.width * filter.pitch + V::width, 16);
    return filter;
}

/// Filter source row y horizontally at all output columns.
template <class V>
void resize_filter_row(const ResizeTask &task, const ResizeFilter &filter, std::int64_t image, std::int64_t y,
                       float *out) {
    const ConstView &from = task.source;
    const float *row = pixel_at(from, image, y, 0);
    for (std::int64_t x = 0; x < task.destination.width; ++x, out += filter.pitch) {
        const ResizeSpan &span = filter.columns[x];
        const float *first = row + span.first * from.pixel_stride;
        for (std::int64_t c = 0; c < from.channels; c += V::width) {
            auto sum = V::zero();
            for (std::int32_t tap = 0; tap < span.count; ++tap)
                sum = V::fma(V::set1(span.weights[tap]),
                             load_lanes<V>(first + tap * from.pixel_stride + c, from.channels - c), sum);
            V::store(out + c, sum);
        }
    }
}

/// Filter vertically: write `count` floats of an output row, the weighted sum of horizontally filtered rows.
template <class V>
MPSCNN_INLINE void resize_sum_rows(const ResizeTask &task, const ResizeFilter &filter, const ResizeSpan &span,
                                   const float *slots, std::int64_t at, float *out, std::int64_t count,
                                   std::int64_t writable) {
    const std::int64_t first = span.count > 0 ? span.first % filter.slots : 0;
    for (std::int64_t i = 0; i < count; i += V::width) {
        auto sum = V::zero();
        std::int64_t slot = first;
        for (std::int32_t tap = 0; tap < span.count; ++tap) {
            const float *row = slots + slot * filter.row_floats;
            sum = V::fma(V::set1(span.weights[tap]), V::load(row + at + i), sum);
            if (++slot == filter.slots) slot = 0;
        }
        store_lanes<V>(out + i, task.round_to_half ? V::round_to_half(sum) : sum, writable - i);
    }
}

template <class V>
void resize_lanczos(const ResizeTask &task, const ResizeFilter &filter, std::int64_t image, Range rows,
                    float *slots) {
    const View &to = task.destination;
    auto *filtered = reinterpret_cast<std::int64_t *>(slots + filter.slots * filter.row_floats);
    for (std::int64_t slot = 0; slot < filter.slots; ++slot) filtered[slot] = -1;
    for (std::int64_t y = rows.begin; y < rows.end; ++y) {
        const ResizeSpan &span = filter.rows[y];
        for (std::int64_t row = span.first; row < span.first + span.count; ++row) {
            const std::int64_t slot = row % filter.slots;
            if (filtered[slot] == row) continue;
            resize_filter_row<V>(task, filter, image, row, slots + slot * filter.row_floats);
            filtered[slot] = row;
        }
        float *out = pixel_at(to, image, y, 0);
        if (filter.flat) {
            const std::int64_t count = to.width * filter.pitch;
            resize_sum_rows<V>(task, filter, span, slots, 0, out, count, count);
            continue;
        }
        for (std::int64_t x = 0; x < to.width; ++x, out += to.pixel_stride)
            resize_sum_rows<V>(task, filter, span, slots, x * filter.pitch, out, to.channels,
                               to.writable_channels);
    }
}

struct ResizePlan {
    WorkSplit split;
    ResizeTiles tiles;
    const ResizeTap *taps; ///< one for each column
    ResizeFilter filter;
};

template <class V> Prepared resize_prepare(const ResizeTask &task, const Planning &planning) {
    const std::int64_t width = task.destination.width;
    const WorkSplit split = split_elements(task.destination, planning.threads);
    if (task.kind == ResizeKind::lanczos) {
        const ResizePlan plan{split, {}, nullptr, resize_filter<V>(task, planning)};
        if (!plan.filter.rows || !plan.filter.columns) return {};
        return planning.keep(plan, plan.split.items(), plan.filter.scratch_bytes());
    }
    auto *taps = planning.make<ResizeTap>(width);
    if (!taps) return {};
    for (std::int64_t x = 0; x < width; ++x)
        taps[x] = resize_tap(task, task.horizontal, x, task.source.width);
    const ResizePlan plan{split, ResizeTiles::of<V>(task, planning.caches), taps, {}};
    return planning.keep(plan, plan.split.items(),
                         2 * static_cast<std::size_t>(plan.tiles.row_floats) * sizeof(float));
}

template <class V>
void resize_run(const ResizeTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                Worker &worker) {
    const auto &[split, tiles, taps, filter] = prepared.plan_as<ResizePlan>();
    const std::int64_t width = task.destination.width;
    auto *upper = reinterpret_cast<float *>(worker.scratch);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        if (task.kind == ResizeKind::lanczos) {
            resize_lanczos<V>(task, filter, item.image, item.rows, upper);
            continue;
        }
        if (task.kind == ResizeKind::nearest) {
            for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
                resize_nearest_row<V>(task, item.image, y, taps);
            continue;
        }
        for (std::int64_t x = 0; x < width; x += tiles.columns)
            resize_tile<V>(task, item.image, item.rows, {x, min(x + tiles.columns, width)}, taps, tiles,
                           upper, upper + tiles.row_floats);
    }
    if constexpr (V::has_non_temporal_stores)
        if (tiles.non_temporal) V::fence_non_temporal_stores();
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ResizeTask, resize)
