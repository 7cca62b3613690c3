#pragma once

// Products and sums of two bfloat16 tensors, such as a squeeze gate on its image, with a clamp and results in
// bfloat16. Results have the bits of ArithmeticTask's float32 kernel, rounded once. Either tensor may be
// broadcast along rows and pixels. A row is computed in sets of two vectors of channels. The speed is limited
// by memory: 6 bytes for each element, or 4.

#include "cpu/isa/lanes.h"
#include "cpu/kernels/shared/pixel_epilogue.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

/// Combine `pixels` pixels from three addresses, whose steps from pixel to pixel are 0 for a tensor that is
/// broadcast. A gate stays in registers for all pixels of a row.
template <class V, int vectors, class Combine>
MPSCNN_INLINE void combine_pixels(const Bfloat16 *first, std::ptrdiff_t first_step, const Bfloat16 *second,
                                  std::ptrdiff_t second_step, Bfloat16 *result, std::ptrdiff_t result_step,
                                  std::int64_t pixels, Combine combine) {
    const auto run = [&](auto other) __attribute__((always_inline)) {
        for (; pixels > 0; --pixels, first += first_step, second += second_step, result += result_step) {
            if constexpr (vectors == 2)
                V::store_two(result, combine(V::load(first), other(0)),
                             combine(V::load(first + V::width), other(1)));
            else
                V::store(result, combine(V::load(first), other(0)));
        }
    };
    if (second_step != 0)
        return run([&](int v) __attribute__((always_inline)) { return V::load(second + v * V::width); });
    const typename V::reg gate[] = {V::load(second), V::load(second + (vectors - 1) * V::width)};
    run([&](int v) __attribute__((always_inline)) { return gate[v]; });
}

template <class V, bool multiplies>
void combine_rounded(const ArithmeticTask &task, const WorkSplit::Item &item) {
    const SourceSteps &a = task.source_steps, &b = task.second_steps;
    const View &to = task.destination;
    const Clamp<V> clamp(limits_of(task.epilogue.activation));
    const auto combine = [&](typename V::reg p, typename V::reg q) __attribute__((always_inline)) {
        return clamp(multiplies ? V::mul(p, q) : V::add(p, q));
    };
    const std::ptrdiff_t first_step = a.x * task.source.pixel_stride,
                         second_step = b.x * task.second.pixel_stride;
    for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y) {
        const auto *first = pixel_at<Bfloat16>(task.source, item.image, y * a.y, 0);
        const auto *second = pixel_at<Bfloat16>(task.second, item.image, y * b.y, 0);
        auto *result = pixel_at<Bfloat16>(to, item.image, y, 0);
        std::int64_t channel = 0;
        for (; channel + 2 * V::width <= to.channels; channel += 2 * V::width)
            combine_pixels<V, 2>(first + channel, first_step, second + channel, second_step, result + channel,
                                 to.pixel_stride, to.width, combine);
        for (; channel + V::width <= to.channels; channel += V::width)
            combine_pixels<V, 1>(first + channel, first_step, second + channel, second_step, result + channel,
                                 to.pixel_stride, to.width, combine);
        const std::int64_t left = to.channels - channel;
        if (left == 0) continue;
        for (std::int64_t x = 0; x < to.width; ++x)
            V::store_partial(result + x * to.pixel_stride + channel,
                             combine(V::load_partial(first + x * first_step + channel, left),
                                     V::load_partial(second + x * second_step + channel, left)),
                             left);
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
