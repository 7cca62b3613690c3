// Gradients of TakeTask, which copies rows, columns or channels. The gradient of a row, column or channel is
// the sum of the gradients of its copies, added in the order of the copies.
//
// Registers hold one vector of sums. The speed is limited by memory, 8 bytes for each element of the
// gradient; for channels by one load and one addition for each element.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// The plan. The copies of position i of the destination are copies[starts[i]] to copies[starts[i + 1] - 1].
struct TakeGradientPlan {
    WorkSplit split;
    const std::int64_t *starts, *copies;
};

template <class V> Prepared take_gradient_prepare(const TakeGradientTask &task, const Planning &planning) {
    using Axis = TakeGradientTask::Axis;
    const auto along = [&](const auto &view) {
        return task.axis == Axis::rows      ? view.height
               : task.axis == Axis::columns ? view.width
                                            : view.channels;
    };
    const std::int64_t positions = along(task.destination), count = along(task.source);
    auto *starts = planning.make<std::int64_t>(positions + 1);
    auto *copies = planning.make<std::int64_t>(count);
    if (!starts || !copies) return {};
    for (std::int64_t i = 0; i <= positions; ++i) starts[i] = 0;
    for (std::int64_t i = 0; i < count; ++i) ++starts[task.indices[i] + 1];
    for (std::int64_t i = 0; i < positions; ++i) starts[i + 1] += starts[i];
    for (std::int64_t i = 0; i < count; ++i) copies[starts[task.indices[i]]++] = i;
    for (std::int64_t i = positions; i > 0; --i) starts[i] = starts[i - 1];
    starts[0] = 0;
    const View &to = task.destination;
    const std::int64_t others = to.batch * to.height * to.width * to.channels / max(positions, 1);
    const WorkSplit split =
        split_work(to.batch, to.height, 1, others * max(positions, count), min_elements, planning.threads);
    return planning.keep(TakeGradientPlan{split, starts, copies}, split.items());
}

/// Sum the gradients of the copies of each channel of a pixel.
MPSCNN_INLINE void sum_copied_channels(const TakeGradientPlan &plan, const float *from, float *out,
                                       std::int64_t channels) {
    for (std::int64_t c = 0; c < channels; ++c) {
        float sum = 0.0f;
        for (std::int64_t i = plan.starts[c]; i < plan.starts[c + 1]; ++i) sum += from[plan.copies[i]];
        out[c] = sum;
    }
}

template <class V>
void take_gradient_run(const TakeGradientTask &task, const Prepared &prepared, std::int64_t begin,
                       std::int64_t end, Worker &) {
    const auto &plan = prepared.plan_as<TakeGradientPlan>();
    const View &to = task.destination;
    const bool of_rows = task.axis == TakeGradientTask::Axis::rows;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = plan.split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x) {
                float *out = pixel_at(to, item.image, y, x);
                if (task.axis == TakeGradientTask::Axis::channels) {
                    sum_copied_channels(plan, pixel_at(task.source, item.image, y, x), out, to.channels);
                    continue;
                }
                const std::int64_t position = of_rows ? y : x;
                for (std::int64_t c = 0; c < to.channels; c += V::width) {
                    auto sum = V::zero();
                    for (std::int64_t i = plan.starts[position]; i < plan.starts[position + 1]; ++i) {
                        const std::int64_t copy = plan.copies[i];
                        const float *from =
                            pixel_at(task.source, item.image, of_rows ? copy : y, of_rows ? x : copy);
                        sum = V::add(sum, load_lanes<V>(from + c, to.channels - c));
                    }
                    store_lanes<V>(out + c, sum, to.writable_channels - c);
                }
            }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(TakeGradientTask, take_gradient)
