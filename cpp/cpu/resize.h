#pragma once

// Resizing: nearest neighbour and bilinear. Source columns and weights are computed once for all rows of a
// call.

#include "cpu/pixel_epilogue.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The two source positions between which an output lies, and how far it is from the first.
struct ResizeTap {
    std::int32_t first, second;
    float fraction;
};

inline ResizeTap resize_tap(const ResizeTask &task, std::int64_t output, double scale, double offset,
                            std::int64_t size) {
    const auto last = static_cast<double>(size - 1);
    double position = static_cast<double>(output) * scale + offset;
    if (task.kind == ResizeKind::nearest) position += task.nearest_bias;
    position = position > 0.0 ? (position < last ? position : last) : 0.0;
    const auto first = static_cast<std::int32_t>(position);
    if (task.kind == ResizeKind::nearest) return {first, first, 0.0f};
    const auto second = static_cast<std::int32_t>(smaller(first + 1, size - 1));
    return {first, second, static_cast<float>(position - static_cast<double>(first))};
}

template <class V>
MPSCNN_INLINE typename V::reg interpolate(typename V::reg a, typename V::reg b, float fraction) {
    return V::fma(V::set1(fraction), V::sub(b, a), a);
}

/// One output pixel between columns `left` and `right` of the rows `upper` and `lower`.
template <class V>
MPSCNN_INLINE void resize_pixel(const ResizeTask &task, const float *upper, const float *lower,
                                const ResizeTap &horizontal, float vertical_fraction, float *out) {
    const View &to = task.destination;
    const std::ptrdiff_t left = horizontal.first * task.source.pixel_stride;
    const std::ptrdiff_t right = horizontal.second * task.source.pixel_stride;
    for (std::int64_t c = 0; c < to.channels; c += V::width) {
        const std::int64_t rest = to.channels - c;
        auto value = load_lanes<V>(upper + left + c, rest);
        if (task.kind == ResizeKind::bilinear) {
            const auto above =
                interpolate<V>(value, load_lanes<V>(upper + right + c, rest), horizontal.fraction);
            const auto below = interpolate<V>(load_lanes<V>(lower + left + c, rest),
                                              load_lanes<V>(lower + right + c, rest), horizontal.fraction);
            value = interpolate<V>(above, below, vertical_fraction);
        }
        if (task.round_to_half) value = V::round_to_half(value);
        store_lanes<V>(out + c, value, to.writable_channels - c);
    }
}

template <class V> Work resize_work(const ResizeTask &task, int threads) {
    return {split_elements(task.destination, threads).items(),
            static_cast<std::size_t>(task.destination.width) * sizeof(ResizeTap)};
}

template <class V>
void resize_run(const ResizeTask &task, int threads, std::int64_t begin, std::int64_t end,
                std::byte *scratch) {
    const WorkSplit split = split_elements(task.destination, threads);
    const View &to = task.destination;
    const ConstView &from = task.source;
    auto *columns = reinterpret_cast<ResizeTap *>(scratch);
    for (std::int64_t x = 0; x < to.width; ++x)
        columns[x] = resize_tap(task, x, task.scale_x, task.offset_x, from.width);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            const ResizeTap vertical = resize_tap(task, y, task.scale_y, task.offset_y, from.height);
            const float *upper = pixel_at(from, item.image, vertical.first, 0);
            const float *lower = pixel_at(from, item.image, vertical.second, 0);
            for (std::int64_t x = 0; x < to.width; ++x)
                resize_pixel<V>(task, upper, lower, columns[x], vertical.fraction,
                                pixel_at(to, item.image, y, x));
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
