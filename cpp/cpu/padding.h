#pragma once

// Padding, cropping and copies between strides (concatenation is one copy for each input, into its channels).

#include "cpu/pixel_epilogue.h"
#include "cpu/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V> MPSCNN_INLINE void fill_floats(float *to, std::int64_t count, float value) {
    const auto vector = V::set1(value);
    for (std::int64_t i = 0; i < count; i += V::width) store_lanes<V>(to + i, vector, count - i);
}

template <class V> MPSCNN_INLINE void copy_floats(const float *from, float *to, std::int64_t count) {
    for (std::int64_t i = 0; i < count; i += V::width)
        store_lanes<V>(to + i, load_lanes<V>(from + i, count - i), count - i);
}

/// Destination positions that the source covers when it begins at `start`.
MPSCNN_INLINE Range covered(std::int64_t start, std::int64_t source, std::int64_t destination) {
    const std::int64_t begin = clamped(start, 0, destination);
    return {begin, clamped(start + source, begin, destination)};
}

template <class V> MPSCNN_INLINE void fill_pixels(float *row, Range pixels, const View &to, float value) {
    if (to.pixel_stride == to.channels) {
        fill_floats<V>(row + pixels.begin * to.channels, pixels.size() * to.channels, value);
        return;
    }
    for (std::int64_t x = pixels.begin; x < pixels.end; ++x)
        fill_floats<V>(row + x * to.pixel_stride, to.channels, value);
}

/// Destination pixels [columns) from source pixels that begin at `from`; channels that the source lacks get
/// the value.
template <class V>
MPSCNN_INLINE void copy_pixels(const PaddingTask &task, const float *from, float *row, Range columns) {
    const View &to = task.destination;
    const Range channels = covered(task.front, task.source.channels, to.channels);
    const std::int64_t skipped = larger(-task.front, 0);
    const bool same = channels.size() == to.channels && task.source.channels == to.channels;
    if (same && to.pixel_stride == to.channels && task.source.pixel_stride == to.channels) {
        copy_floats<V>(from, row + columns.begin * to.channels, columns.size() * to.channels);
        return;
    }
    for (std::int64_t x = columns.begin; x < columns.end; ++x, from += task.source.pixel_stride) {
        float *out = row + x * to.pixel_stride;
        fill_floats<V>(out, channels.begin, task.value);
        if (!channels.empty()) copy_floats<V>(from + skipped, out + channels.begin, channels.size());
        fill_floats<V>(out + channels.end, to.channels - channels.end, task.value);
    }
}

template <class V> Work padding_work(const PaddingTask &task, int threads) {
    return {split_elements(task.destination, threads).items(), 0};
}

template <class V>
void padding_run(const PaddingTask &task, int threads, std::int64_t begin, std::int64_t end, std::byte *) {
    const WorkSplit split = split_elements(task.destination, threads);
    const View &to = task.destination;
    const Range rows = covered(task.top, task.source.height, to.height);
    const Range columns = covered(task.left, task.source.width, to.width);
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            float *row = pixel_at(to, item.image, y, 0);
            if (y < rows.begin || y >= rows.end || columns.empty()) {
                fill_pixels<V>(row, {0, to.width}, to, task.value);
                continue;
            }
            const float *from = pixel_at(task.source, item.image, y - task.top, columns.begin - task.left);
            fill_pixels<V>(row, {0, columns.begin}, to, task.value);
            copy_pixels<V>(task, from, row, columns);
            fill_pixels<V>(row, {columns.end, to.width}, to, task.value);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu
