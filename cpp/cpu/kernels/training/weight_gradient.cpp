// Weight gradients of convolutions, and the sum of the parts into which their pixels are divided.

#include "cpu/isa/instance.h"
#include "cpu/kernels/training/weight_gradient_dense.h"
#include "cpu/kernels/training/weight_gradient_depthwise.h"
#include "cpu/kernels/training/weight_gradient_winograd.h"

namespace mpscnn::cpu {
namespace {

inline bool is_depthwise(const WeightGradientTask &task) {
    return task.groups > 1 && task.source.channels == task.groups && task.gradient.channels == task.groups;
}

/// Winograd's algorithm has no kernels without FMA, and none for bfloat16.
template <class V> inline constexpr bool can_use_winograd = V::has_fma && !has_bfloat16<V>;

template <class V>
Prepared weight_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    if (is_depthwise(task)) return depthwise_gradient_prepare<V>(task, planning);
    if constexpr (can_use_winograd<V>)
        if (task.winograd) return winograd_gradient_prepare<V>(task, planning);
    return dense_gradient_prepare<V>(task, planning);
}

template <class V>
void weight_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &worker) {
    if (is_depthwise(task)) return depthwise_gradient_run<V>(task, prepared, begin, end, worker);
    if constexpr (can_use_winograd<V>)
        if (task.winograd) return winograd_gradient_run<V>(task, prepared, begin, end, worker);
    dense_gradient_run<V>(task, prepared, begin, end, worker);
}

template <class V> Prepared part_sum_prepare(const PartSumTask &task, const Planning &planning) {
    const std::int64_t elements = task.source.batch * task.source.channels;
    const std::int64_t items =
        planning.threads == 1 ? 1 : clamped(elements / 16384, 1, task.destination.batch);
    return planning.keep(items, items);
}

template <class V>
void part_sum_run(const PartSumTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &) {
    const auto items = prepared.plan_as<std::int64_t>();
    const View &to = task.destination;
    const std::int64_t depth = to.height * to.width * to.channels;
    constexpr std::int64_t block = 64;
    for (std::int64_t item = begin; item < end; ++item) {
        const Range images = part_of(to.batch, items, item);
        for (std::int64_t image = images.begin; image < images.end; ++image)
            for (std::int64_t first = 0; first < depth; first += block) {
                double sums[block] = {};
                const std::int64_t count = min(block, depth - first);
                for (std::int64_t part = 0; part < task.source.batch; ++part) {
                    const float *from =
                        task.source.data + part * task.source.image_stride + image * depth + first;
                    for (std::int64_t i = 0; i < count; ++i) sums[i] += static_cast<double>(from[i]);
                }
                float *out = to.data + image * to.image_stride + first;
                for (std::int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(sums[i]);
            }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(WeightGradientTask, weight_gradient)
MPSCNN_KERNEL(PartSumTask, part_sum)
