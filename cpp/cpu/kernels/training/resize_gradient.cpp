// Gradients of resizes. Each result adds its gradient, times a weight, to the up to four pixels from which it
// was sampled. A work item writes some rows of pixels. It processes all results that reach these rows, in a
// fixed order.
//
// Registers hold a vector of the gradient and one of a pixel. The speed is limited by loads and stores:
// a bilinear sample needs eight loads and four stores for every vector of the gradient. Tensors with few
// channels are slower. Pixels to which two successive results add are slower, too, because the second
// addition waits for the store of the first.

#include "cpu/isa/instance.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/movement/resize_taps.h"
#include "cpu/kernels/shared/pixels.h"
#include "cpu/kernels/shared/work_split.h"

namespace mpscnn::cpu {
namespace {

struct ResizeGradientPlan {
    WorkSplit split;
    const ResizeTap *columns; ///< source positions of each column of results
};

template <class V>
Prepared resize_gradient_prepare(const ResizeGradientTask &task, const Planning &planning) {
    const ConstView &from = task.source;
    const View &to = task.destination;
    auto *columns = planning.make<ResizeTap>(from.width);
    if (!columns) return {};
    for (std::int64_t x = 0; x < from.width; ++x)
        columns[x] = resize_tap(task.resize, task.resize.horizontal, x, to.width);
    const std::int64_t results = from.batch * from.height * from.width * from.channels;
    const std::int64_t pixels = to.batch * to.height * to.width * to.channels;
    const WorkSplit split = split_work(to.batch, to.height, divide_up(to.channels, V::width),
                                       max(results, pixels), min_elements / 4, planning.threads);
    return planning.keep(ResizeGradientPlan{split, columns}, split.items());
}

/// Add weight * gradient to a pixel, for the channel vectors [vectors).
template <class V>
MPSCNN_INLINE void add_weighted(const View &to, float *out, const float *gradient, float weight,
                                const Range &vectors) {
    const auto factor = V::set1(weight);
    for (std::int64_t c = vectors.begin * V::width; c < min(vectors.end * V::width, to.channels);
         c += V::width) {
        const std::int64_t left = to.channels - c;
        const auto sum = V::fma(factor, load_lanes<V>(gradient + c, left), load_lanes<V>(out + c, left));
        store_lanes<V>(out + c, sum, to.writable_channels - c);
    }
}

/// Add the gradients of row y of the result, times `weight`, to the pixels of row `row`.
template <class V>
void add_row(const ResizeGradientTask &task, const ResizeTap *columns, const WorkSplit::Item &item,
             std::int64_t y, std::int64_t row, float weight) {
    const View &to = task.destination;
    const float *gradient = pixel_at(task.source, item.image, y, 0);
    float *pixels = pixel_at(to, item.image, row, 0);
    for (std::int64_t x = 0; x < task.source.width; ++x, gradient += task.source.pixel_stride) {
        const ResizeTap &tap = columns[x];
        if (tap.first >= 0)
            add_weighted<V>(to, pixels + tap.first * to.pixel_stride, gradient,
                            weight * (1.0f - tap.fraction), item.vectors);
        if (tap.second >= 0 && tap.fraction != 0.0f)
            add_weighted<V>(to, pixels + tap.second * to.pixel_stride, gradient, weight * tap.fraction,
                            item.vectors);
    }
}

template <class V>
void resize_gradient_run(const ResizeGradientTask &task, const Prepared &prepared, std::int64_t begin,
                         std::int64_t end, Worker &) {
    const auto &plan = prepared.plan_as<ResizeGradientPlan>();
    const View &to = task.destination;
    for (std::int64_t index = begin; index < end; ++index) {
        const WorkSplit::Item item = plan.split.item(index);
        for (std::int64_t y = item.rows.begin; y < item.rows.end; ++y)
            for (std::int64_t x = 0; x < to.width; ++x) {
                float *out = pixel_at(to, item.image, y, x);
                for (std::int64_t c = item.vectors.begin * V::width;
                     c < min(item.vectors.end * V::width, to.channels); c += V::width)
                    store_lanes<V>(out + c, V::zero(), to.writable_channels - c);
            }
        for (std::int64_t y = 0; y < task.source.height; ++y) {
            const ResizeTap tap = resize_tap(task.resize, task.resize.vertical, y, to.height);
            const auto is_own = [&](std::int32_t row) {
                return item.rows.begin <= row && row < item.rows.end;
            };
            if (is_own(tap.first)) add_row<V>(task, plan.columns, item, y, tap.first, 1.0f - tap.fraction);
            if (tap.fraction != 0.0f && is_own(tap.second))
                add_row<V>(task, plan.columns, item, y, tap.second, tap.fraction);
        }
    }
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ResizeGradientTask, resize_gradient)
