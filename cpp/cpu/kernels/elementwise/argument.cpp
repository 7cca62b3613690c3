// Finds the channel with the largest or smallest element of each pixel.
//
// Registers hold the best value of each lane and its channel, for V::width pixels. The lanes of all of them
// are compared together at the end. The speed is limited by memory, 4 bytes for each element, or by the
// comparisons if the source is cached.

#include "cpu/isa/instance.h"
#include "cpu/isa/lane_shuffles.h"
#include "cpu/isa/lanes.h"
#include "cpu/kernels/elementwise/reduction_tiles.h"

namespace mpscnn::cpu {
namespace {

inline std::int64_t first_nan(const float *from, std::int64_t channels) {
    std::int64_t c = 0;
    while (c < channels && from[c] == from[c]) ++c;
    return c;
}

/// The largest value so far in each lane, and the first channel that has it.
template <class V> struct Extreme {
    typename V::reg value, place;
};

template <class V, int size, bool higher> MPSCNN_INLINE Extreme<V> lane_halves(Extreme<V> a, Extreme<V> b) {
    return {lane_halves<V, size, higher>(a.value, b.value), lane_halves<V, size, higher>(a.place, b.place)};
}

/// Return the larger of two values in each lane. For equal values, return the one with the smaller channel.
template <class V> MPSCNN_INLINE Extreme<V> better(Extreme<V> a, Extreme<V> b) {
    const auto is_less = V::less(a.value, b.value), is_greater = V::less(b.value, a.value);
    const auto first = V::select(is_greater, a.place, V::min(a.place, b.place));
    return {V::select(is_less, b.value, a.value), V::select(is_less, b.place, first)};
}

/// Find the largest sign * x over the channels of a pixel, separately in each lane. `nan` becomes NaN if
/// there is one.
template <class V>
MPSCNN_INLINE Extreme<V> extremes_of_channels(const float *from, std::int64_t channels, float sign,
                                              typename V::reg &nan) {
    const auto factor = V::set1(sign), step = V::set1(static_cast<float>(V::width));
    const auto candidate = [&](std::int64_t c) {
        const auto x = fill_lanes<V>(V::mul(load_lanes<V>(from + c, channels - c), factor), channels - c,
                                     -__builtin_inff());
        nan = V::add(nan, nan_of<V>(x));
        return x;
    };
    auto places = lane_numbers<V>();
    Extreme<V> best{candidate(0), places};
    for (std::int64_t c = V::width; c < channels; c += V::width) {
        places = V::add(places, step);
        const auto x = candidate(c);
        const auto is_better = V::less(best.value, x);
        best = {V::select(is_better, x, best.value), V::select(is_better, places, best.place)};
    }
    return best;
}

/// Return for each pixel, in its lane, the first channel with the largest sign * x. If there are NaN, it is
/// the first NaN.
template <class V> MPSCNN_INLINE typename V::reg argument_each(const ReductionTile<V> &tile, float sign) {
    Extreme<V> best[V::width];
    auto nan = V::zero();
    for (int i = 0; i < V::width; ++i)
        best[i] = i < tile.pixels ? extremes_of_channels<V>(tile.pixel(i), tile.channels, sign, nan)
                                  : Extreme<V>{V::zero(), V::zero()};
    fold_lanes<V>(best, better<V>);
    if (const float any = V::sum(nan); any == any) return best[0].place;
    float places[V::width];
    V::store(places, best[0].place);
    for (std::int64_t i = 0; i < tile.pixels; ++i)
        if (const std::int64_t place = first_nan(tile.pixel(i), tile.channels); place < tile.channels)
            places[i] = static_cast<float>(place);
    return V::load(places);
}

template <class V> Prepared argument_prepare(const ArgumentTask &task, const Planning &planning) {
    return prepare_elements(task.source, planning);
}

template <class V>
void argument_run(const ArgumentTask &task, const Prepared &prepared, std::int64_t begin, std::int64_t end,
                  Worker &) {
    const auto &split = prepared.plan_as<WorkSplit>();
    const float sign = task.of_maximum ? 1.0f : -1.0f;
    reduce_tiles<V>(task.source, task.destination, task.round_to_half, split, begin, end, true,
                    [&](const ReductionTile<V> &tile, std::int64_t, std::int64_t, std::int64_t) {
                        return argument_each<V>(tile, sign);
                    });
}

} // namespace
} // namespace mpscnn::cpu

MPSCNN_KERNEL(ArgumentTask, argument)
