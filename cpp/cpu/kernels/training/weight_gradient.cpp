// Weight gradients of convolutions, and the sum of the parts into which their pixels are divided.

#include "cpu/isa/instance.h"
#include "cpu/kernels/training/weight_gradient_dense.h"
#include "cpu/kernels/training/weight_gradient_depthwise.h"

namespace mpscnn::cpu {
namespace {

template <class V>
Prepared weight_gradient_prepare(const WeightGradientTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const std::int64_t channels = from.channels / task.groups;
    WeightGradientPlan plan{};
    plan.outputs = task.gradient.channels / task.groups;
    plan.taps = task.vertical.kernel * task.horizontal.kernel * channels;
    plan.depthwise = channels == 1 && plan.outputs == 1 && task.groups > 1;
    const std::int64_t parts = task.destination.batch;
    if (plan.depthwise) {
        // The number of sums that stay in L1.
        constexpr std::int64_t max_floats = 4096;
        const std::int64_t vectors = divide_up(from.channels, V::width);
        const std::int64_t most = clamped(max_floats / (plan.taps * V::width), 1, vectors);
        const std::int64_t wanted =
            planning.threads == 1 ? 1 : divide_up(4 * static_cast<std::int64_t>(planning.threads), parts);
        plan.items = clamped(wanted, divide_up(vectors, most), vectors);
        const std::int64_t floats = divide_up(vectors, plan.items) * plan.taps * V::width;
        std::int64_t scratch = 2 * floats;
        if (task.normalization.applies)
            scratch += NormalizedRows<V>::floats(task, divide_up(vectors, plan.items));
        return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(scratch) * sizeof(float));
    }
    constexpr std::int64_t max_block_taps = 512;
    plan.tap_blocks = divide_up(plan.taps, max_block_taps);
    plan.block_taps = round_up(divide_up(plan.taps, plan.tap_blocks), tile_taps<V>);
    plan.tap_blocks = divide_up(plan.taps, plan.block_taps);
    // Each block of outputs gathers all taps again. So outputs are only divided if some threads would have no
    // work otherwise.
    const std::int64_t wanted = planning.threads == 1 ? 1 : 4 * static_cast<std::int64_t>(planning.threads);
    plan.output_blocks = clamped(divide_up(wanted, parts * task.groups * plan.tap_blocks), 1,
                                 divide_up(plan.outputs, V::gemm_rows));
    plan.items = task.groups * plan.tap_blocks * plan.output_blocks;
    const bool one_pixel = task.vertical.kernel == 1 && task.horizontal.kernel == 1 &&
                           task.vertical.stride == 1 && task.horizontal.stride == 1 &&
                           task.vertical.before == 0 && task.horizontal.before == 0 &&
                           from.height == task.gradient.height && from.width == task.gradient.width;
    const bool normalizes = task.normalization.applies;
    plan.reads_source = one_pixel && images_join(from) && channels % V::width == 0 && !normalizes;
    const std::int64_t floats = (plan.reads_source ? 0 : gradient_block * plan.block_taps) +
                                (normalizes ? NormalizedCopy<V>::floats(from.channels) : 0);
    return planning.keep(plan, parts * plan.items, static_cast<std::size_t>(floats) * sizeof(float));
}

template <class V, bool normalizes>
void add_gradients(const WeightGradientTask &task, const WeightGradientPlan &plan, std::int64_t begin,
                   std::int64_t end, float *scratch) {
    for (std::int64_t index = begin; index < end; ++index) {
        const std::int64_t part = index / plan.items, item = index % plan.items;
        if (plan.depthwise)
            depthwise_gradient<V, normalizes>(task, plan, part, item, scratch);
        else
            dense_gradient<V, normalizes>(task, plan, part, item, scratch);
    }
}

template <class V>
void weight_gradient_run(const WeightGradientTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &worker) {
    const auto &plan = prepared.plan_as<WeightGradientPlan>();
    float *const scratch = reinterpret_cast<float *>(worker.scratch);
    task.normalization.applies ? add_gradients<V, true>(task, plan, begin, end, scratch)
                               : add_gradients<V, false>(task, plan, begin, end, scratch);
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
