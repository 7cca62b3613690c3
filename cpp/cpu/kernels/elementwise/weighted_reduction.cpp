// Sums over the channels of a pixel, each times a weight.
//
// Registers hold the sums of V::width pixels, whose lanes are added up together. The speed is limited by
// memory, 4 bytes for each element, or by loads if source and weights are cached.

#include "cpu/isa/common_sums.h"
#include "cpu/isa/instance.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/reduction_tiles.h"

namespace mpscnn::cpu {
namespace {

/// Add the products of elements and weights to `all`, and 1 for each weight other than 0 to `count`, lane by
/// lane.
template <class V>
MPSCNN_INLINE void add_weighted(const float *from, const float *weights, std::int64_t channels,
                                typename V::reg &all, typename V::reg &count) {
    const auto one = V::set1(1.0f);
    CommonSums<V> sums(V::zero());
    for (std::int64_t c = 0; c < channels; c += V::width) {
        const auto w = load_lanes<V>(weights + c, channels - c);
        auto &sum = sums.of_element(c);
        sum = V::fma(load_lanes<V>(from + c, channels - c), w, sum);
        const auto is_positive = V::select(V::less(V::zero(), w), one, V::zero());
        count = V::add(count, V::select(V::less(w, V::zero()), one, is_positive));
    }
    all = sums.folded();
}

template <class V>
Prepared weighted_reduction_prepare(const WeightedReductionTask &task, const Planning &planning) {
    return prepare_elements(task.source, planning);
}

template <class V>
void weighted_reduction_run(const WeightedReductionTask &task, const Prepared &prepared, std::int64_t begin,
                            std::int64_t end, Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const ConstView &weights = task.second;
    const bool one_for_all = weights.height == 1 && weights.width == 1;
    const bool one_for_each = weights.height == task.source.height && weights.width == task.source.width;
    reduce_tiles<V>(
        task.source, task.destination, task.round_to_half, split, begin, end,
        one_for_all || (one_for_each && rows_join(weights)),
        [&](const ReductionTile<V> &tile, std::int64_t image, std::int64_t y, std::int64_t x) {
            const bool each = !one_for_all && weights.width == task.source.width;
            const float *weight =
                pixel_at(weights, weights.batch == 1 ? 0 : image, weights.height == 1 ? 0 : y, each ? x : 0);
            const std::ptrdiff_t stride = each ? weights.pixel_stride : 0;
            typename V::reg sums[V::width], counts[V::width];
            for (int i = 0; i < V::width; ++i) {
                sums[i] = counts[i] = V::zero();
                if (i < tile.pixels)
                    add_weighted<V>(tile.pixel(i), weight + i * stride, tile.channels, sums[i], counts[i]);
            }
            sum_lanes<V>(sums);
            if (!task.divides) return sums[0];
            sum_lanes<V>(counts);
            return V::select(V::less(V::zero(), counts[0]), V::div(sums[0], counts[0]), sums[0]);
        });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(WeightedReductionTask, weighted_reduction)
