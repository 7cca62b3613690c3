// Copies of parts of tensors that cannot be views, and constants. Copies of whole pixels are limited by
// memory. Copies of single channels are limited by one load and one store for each element.

#include "cpu/isa/instance.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

MPSCNN_INLINE std::int64_t taken(const TakenPositions &positions, std::int64_t i) {
    if (positions.indices) return positions.indices[i];
    return positions.first + (positions.period > 0 ? i % positions.period : i) * positions.step;
}

template <class V, class Element>
MPSCNN_INLINE void take_channels(const TakenPositions &channels, const Element *from, Element *to,
                                 std::int64_t count) {
    if (!channels.indices && channels.step == 1) {
        const std::int64_t run = channels.period > 0 ? channels.period : count;
        for (std::int64_t c = 0; c < count; c += run)
            copy_channels<V>(from + channels.first, to + c, min(run, count - c));
        return;
    }
    for (std::int64_t c = 0; c < count; ++c) to[c] = from[taken(channels, c)];
}

template <class V> Prepared take_prepare(const TakeTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V, class Element>
void take_elements(const TakeTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
            const auto *row = pixel_at<Element>(task.source, item.image, taken(task.rows, y), 0);
            for (std::int64_t x = 0; x < to.width; ++x)
                take_channels<V>(task.channels, row + taken(task.columns, x) * task.source.pixel_stride,
                                 pixel_at<Element>(to, item.image, y, x), to.channels);
        }
    }
}

template <class V>
void take_run(const TakeTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
              Worker &) {
    if (task.destination.element == Element::uint8)
        return take_elements<V, std::uint8_t>(task, prepared, begin, end);
    take_elements<V, float>(task, prepared, begin, end);
}

template <class V> Prepared constant_prepare(const ConstantTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V, class Element>
void copy_constant(const ConstantTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        const auto *values =
            static_cast<const Element *>(task.values) + item.rows.begin * to.width * to.channels;
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x, values += to.channels)
                copy_channels<V>(values, pixel_at<Element>(to, item.image, y, x), to.channels);
    }
}

template <class V>
void constant_run(const ConstantTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &) {
    if (task.destination.element == Element::uint8)
        return copy_constant<V, std::uint8_t>(task, prepared, begin, end);
    copy_constant<V, float>(task, prepared, begin, end);
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(TakeTask, take)
MPSCNN_KERNEL(ConstantTask, constant)
