#pragma once

// Products and sums of two bfloat16 tensors, such as a squeeze gate on its image, with a clamp and results in
// bfloat16. Results have the bits of ArithmeticTask's float32 kernel, rounded once. Either tensor may be
// broadcast along rows and pixels. The speed is limited by memory: 6 bytes for each element, or 4.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

template <class V, bool multiplies>
void combine_rounded(const ArithmeticTask &task, const WorkSplit::Item &item) {
    using Element = typename V::element;
    const SourceSteps &a = task.source_steps, &b = task.second_steps;
    const View &to = task.destination;
    const Clamp<V> clamp(limits_of(task.epilogue.activation));
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
        for (std::int64_t x = 0; x < to.width; ++x) {
            const auto *first = pixel_at<Element>(task.source, item.image, y * a.y, x * a.x);
            const auto *second = pixel_at<Element>(task.second, item.image, y * b.y, x * b.x);
            auto *result = pixel_at<Element>(to, item.image, y, x);
            for (std::int64_t channel = 0; channel < to.channels; channel += V::width) {
                const std::int64_t left = to.channels - channel;
                const auto p = load_lanes<V>(first + channel, left),
                           q = load_lanes<V>(second + channel, left);
                store_lanes<V>(result + channel, clamp(multiplies ? V::mul(p, q) : V::add(p, q)),
                               to.writable_channels - channel);
            }
        }
}

template <class V> Prepared rounded_arithmetic_prepare(const ArithmeticTask &task, const Planning &planning) {
    return prepare_elements(task.destination, planning);
}

template <class V>
void rounded_arithmetic_run(const ArithmeticTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const auto combine =
        task.kind == ArithmeticKind::multiply ? combine_rounded<V, true> : combine_rounded<V, false>;
    for (std::int64_t index = begin; index < end; ++index) combine(task, split.item(index));
}

} // namespace
} // namespace mpscnn::cpu
