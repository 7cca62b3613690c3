#pragma once

// Shuffles that move lanes between vectors, and reductions over the lanes of several vectors together.
// Reducing one vector at a time would leave most lanes unused.

#include <utility>

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Fill each block of 2 * size lanes of the result with the lower (or higher) half of the same block of a,
/// and then with that half of b's block.
template <class V, int size, bool higher>
MPSCNN_INLINE typename V::reg lane_halves(typename V::reg a, typename V::reg b) {
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
        return __builtin_shufflevector(a, b,
                                       (lane / size % 2 * (V::width - size) + lane + (higher ? size : 0))...);
    }(std::make_integer_sequence<int, V::width>());
}

/// Transpose a square of lanes: lane j of x[i] becomes lane i of x[j].
template <class V, int size = V::width / 2>
MPSCNN_INLINE void transpose_lanes(typename V::reg (&x)[V::width]) {
    if constexpr (size > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < V::width; ++i) {
            if (i & size) continue;
            const typename V::reg lower = x[i], higher = x[i + size];
            x[i] = lane_halves<V, size, false>(lower, higher);
            x[i + size] = lane_halves<V, size, true>(lower, higher);
        }
        transpose_lanes<V, size / 2>(x);
    }
}

/// Fold the lanes of each x[i] into lane i of x[0]. Lane j is folded with lane j + width / 2, and so on by
/// halves, in the order of V::sum. `fold` combines two vectors, or two values of another type that
/// lane_halves() accepts.
template <class V, int count = V::width, class Lanes, class Fold>
MPSCNN_INLINE void fold_lanes(Lanes (&x)[V::width], Fold fold) {
    if constexpr (count > 1) {
        constexpr int half = count / 2;
#pragma GCC unroll 8
        for (int i = 0; i < half; ++i)
            x[i] = fold(lane_halves<V, half, false>(x[i], x[i + half]),
                        lane_halves<V, half, true>(x[i], x[i + half]));
        fold_lanes<V, half>(x, fold);
    }
}

/// Sum the lanes of each x[i] into lane i of x[0].
template <class V> MPSCNN_INLINE void sum_lanes(typename V::reg (&x)[V::width]) {
    fold_lanes<V>(x, [](typename V::reg a, typename V::reg b) { return V::add(a, b); });
}

/// Write the largest lane of each x[i] to lane i of x[0]. No lane may be NaN.
template <class V> MPSCNN_INLINE void maximum_lanes(typename V::reg (&x)[V::width]) {
    fold_lanes<V>(x, [](typename V::reg a, typename V::reg b) { return V::max(a, b); });
}

/// Return every second lane, from lane `first` on: first the lanes of a, then the lanes of b.
template <class V, int first>
MPSCNN_INLINE typename V::reg every_second(typename V::reg a, typename V::reg b) {
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
        return __builtin_shufflevector(a, b, (2 * lane + first)...);
    }(std::make_integer_sequence<int, V::width>());
}

/// Interleave the lanes of the lower (or higher) half of a with the lanes of the same half of b.
template <class V, bool higher>
MPSCNN_INLINE typename V::reg interleaved_lanes(typename V::reg a, typename V::reg b) {
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
        return __builtin_shufflevector(a, b,
                                       (lane / 2 + lane % 2 * V::width + (higher ? V::width / 2 : 0))...);
    }(std::make_integer_sequence<int, V::width>());
}

/// Return every second pair of lanes, from pair `first` on: first the pairs of a, then the pairs of b.
template <class V, int first>
MPSCNN_INLINE typename V::reg every_second_pair(typename V::reg a, typename V::reg b) {
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
        return __builtin_shufflevector(a, b, (2 * (lane - lane % 2) + lane % 2 + 2 * first)...);
    }(std::make_integer_sequence<int, V::width>());
}

/// In every `size` adjacent lanes, copy lane `index` to all of them.
template <class V, int size, int index> MPSCNN_INLINE typename V::reg repeat_lane(typename V::reg x) {
    return [&]<int... lane>(std::integer_sequence<int, lane...>) {
        return __builtin_shufflevector(x, x, (lane - lane % size + index)...);
    }(std::make_integer_sequence<int, V::width>());
}

} // namespace
} // namespace mpscnn::cpu
