// Padding, cropping, and copies between tensors of different strides. The speed is limited by memory: 8 bytes
// for each element. Rows without gaps are copied as a whole. Other rows are slower if pixels have few
// channels.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V> MPSCNN_INLINE void fill_floats(float *to, std::int64_t count, float value) {
    const auto vector = V::set1(value);
    for (std::int64_t i = 0; i < count; i += V::width) store_lanes<V>(to + i, vector, count - i);
}

/// Return the destination positions along an axis that the source covers if it begins at position `start`.
MPSCNN_INLINE Range covered(std::int64_t start, std::int64_t source, std::int64_t destination) {
    const std::int64_t begin = clamped(start, 0, destination);
    return {begin, clamped(start + source, begin, destination)};
}

/// Return the source position that a clamped or mirrored axis reads at `position`.
MPSCNN_INLINE std::int64_t reflected(PaddingMode mode, std::int64_t position, std::int64_t size) {
    if (mode == PaddingMode::clamp || size == 1) return clamped(position, 0, size - 1);
    const std::int64_t shared = mode == PaddingMode::mirror ? 1 : 0, period = 2 * (size - shared);
    const std::int64_t turned = (position % period + period) % period;
    return turned < size ? turned : period - 1 + shared - turned;
}

/// Fill the channels [channels) of a pixel with the constants of the border.
template <class V> MPSCNN_INLINE void fill_channels(const PaddingTask &task, float *pixel, Range channels) {
    if (task.values)
        copy_floats(task.values + channels.begin, pixel + channels.begin, channels.size());
    else
        fill_floats<V>(pixel + channels.begin, channels.size(), task.value);
}

template <class V>
__attribute__((noinline)) void fill_pixels(const PaddingTask &task, float *row, Range pixels) {
    const View &to = task.destination;
    if (to.pixel_stride == to.channels && !task.values) {
        fill_floats<V>(row + pixels.begin * to.channels, pixels.size() * to.channels, task.value);
        return;
    }
    for (std::int64_t x = pixels.begin; x < pixels.end; ++x)
        fill_channels<V>(task, row + x * to.pixel_stride, {0, to.channels});
}

/// Fill the channels [channels), which come before or after the source's channels, by the padding's mode.
template <class V>
MPSCNN_INLINE void pad_channels(const PaddingTask &task, const float *from, float *out, Range channels) {
    if (task.mode == PaddingMode::constant_) return fill_channels<V>(task, out, channels);
    for (std::int64_t c = channels.begin; c < channels.end; ++c)
        out[c] = from[reflected(task.mode, c - task.front, task.source.channels)];
}

/// Write destination pixels [columns) from source pixels that begin at `from`.
template <class V>
__attribute__((noinline)) void copy_pixels(const PaddingTask &task, const float *from, float *row,
                                           Range columns) {
    const View &to = task.destination;
    const Range channels = covered(task.front, task.source.channels, to.channels);
    const std::int64_t skipped = max(-task.front, 0);
    const bool covers = channels.size() == to.channels;
    if (covers && task.source.channels == to.channels && to.pixel_stride == to.channels &&
        task.source.pixel_stride == to.channels) {
        copy_floats(from, row + columns.begin * to.channels, columns.size() * to.channels);
        return;
    }
    for (std::int64_t x = columns.begin; x < columns.end; ++x, from += task.source.pixel_stride) {
        float *out = row + x * to.pixel_stride;
        if (covers) {
            copy_channels<V>(from + skipped, out, to.channels);
            continue;
        }
        pad_channels<V>(task, from, out, {0, channels.begin});
        if (!channels.empty()) copy_channels<V>(from + skipped, out + channels.begin, channels.size());
        pad_channels<V>(task, from, out, {channels.end, to.channels});
    }
}

/// Write destination pixels [columns) to the left or right of the source row that begins at `from`.
template <class V>
__attribute__((noinline)) void pad_pixels(const PaddingTask &task, const float *from, float *row,
                                          Range columns) {
    if (task.mode == PaddingMode::constant_) return fill_pixels<V>(task, row, columns);
    for (std::int64_t x = columns.begin; x < columns.end; ++x) {
        const std::int64_t source = reflected(task.mode, x - task.left, task.source.width);
        copy_pixels<V>(task, from + source * task.source.pixel_stride, row, {x, x + 1});
    }
}

/// Write columns [part) of a destination row.
template <class V> void pad_row(const PaddingTask &task, std::int64_t image, std::int64_t y, Range part) {
    const View &to = task.destination;
    const Range rows = covered(task.top, task.source.height, to.height);
    const Range columns = covered(task.left, task.source.width, to.width);
    const Range own{max(part.begin, columns.begin), min(part.end, columns.end)};
    float *row = pixel_at(to, image, y, 0);
    const bool inside = y >= rows.begin && y < rows.end;
    if (!inside && task.mode == PaddingMode::constant_) return fill_pixels<V>(task, row, part);
    const std::int64_t source =
        inside ? y - task.top : reflected(task.mode, y - task.top, task.source.height);
    const float *from = pixel_at(task.source, image, source, 0);
    pad_pixels<V>(task, from, row, {part.begin, min(part.end, columns.begin)});
    if (!own.empty())
        copy_pixels<V>(task, from + (own.begin - task.left) * task.source.pixel_stride, row, own);
    pad_pixels<V>(task, from, row, {max(part.begin, columns.end), part.end});
}

/// Divide the work into rows, and into columns as well if there are few rows, as in detectors.
inline WorkSplit padding_split(const PaddingTask &task, int threads) {
    const View &to = task.destination;
    return split_work(to.batch, to.height, to.width, to.batch * to.height * to.width * to.channels,
                      min_elements, threads);
}

template <class V> Prepared padding_prepare(const PaddingTask &task, const Planning &planning) {
    const WorkSplit split = padding_split(task, planning.threads);
    return planning.keep(split, split.items());
}

template <class V>
void padding_run(const PaddingTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                 Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            pad_row<V>(task, item.image, y, item.vectors);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(PaddingTask, padding)
