// Concatenation of channels, for sources that could not be computed directly in the result's memory. It only
// copies, so the speed is limited by memory: 8 bytes for each element.

#include "cpu/isa/instance.h"
#include "cpu/kernels/shared/copy_channels.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V> void concatenate_row(const ConcatenationTask &task, std::int64_t image, std::int64_t y) {
    const float *from = pixel_at(task.source, image, y, 0), *others[ConcatenationTask::max_others];
    for (std::int64_t i = 0; i < task.count; ++i) others[i] = pixel_at(task.others[i], image, y, 0);
    float *to = pixel_at(task.destination, image, y, 0);
    for (std::int64_t x = 0; x < task.destination.width; ++x) {
        copy_channels<V>(from, to, task.source.channels);
        for (std::int64_t i = 0; i < task.count; ++i) {
            copy_channels<V>(others[i], to + task.positions[i], task.others[i].channels);
            others[i] += task.others[i].pixel_stride;
        }
        from += task.source.pixel_stride;
        to += task.destination.pixel_stride;
    }
}

template <class V> Prepared concatenation_prepare(const ConcatenationTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void concatenation_run(const ConcatenationTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            concatenate_row<V>(task, item.image, y);
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ConcatenationTask, concatenation)
