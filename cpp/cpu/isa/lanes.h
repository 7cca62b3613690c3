#pragma once

// Functions for vectors of which only the first lanes hold data.

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Return NaN where x is NaN, otherwise 0. Maxima also add these up, because taking a maximum can lose a NaN.
template <class V> MPSCNN_INLINE typename V::reg nan_of(typename V::reg x) {
    return V::max(V::zero(), V::min(V::zero(), x));
}

/// Return the vector 0, 1, 2, ...
template <class V> MPSCNN_INLINE typename V::reg lane_numbers() {
    static constexpr float lanes[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return V::load(lanes);
}

/// Keep the first `left` lanes of a vector and set the others to `missing`.
template <class V>
MPSCNN_INLINE typename V::reg fill_lanes(typename V::reg x, std::int64_t left, float missing) {
    if (left >= V::width) return x;
    return V::select(V::less(lane_numbers<V>(), V::set1(static_cast<float>(left))), x, V::set1(missing));
}

/// Load the vector at p, of which only `remaining` channels exist. The other lanes are zero.
template <class V, class Element>
MPSCNN_INLINE typename V::reg load_lanes(const Element *p, std::int64_t remaining) {
    return remaining >= V::width ? V::load(p) : V::load_partial(p, remaining);
}

/// Store the first `writable` lanes, or all.
template <class V, class Element>
MPSCNN_INLINE void store_lanes(Element *p, typename V::reg value, std::int64_t writable) {
    if (writable >= V::width)
        V::store(p, value);
    else
        V::store_partial(p, value, writable);
}

} // namespace
} // namespace mpscnn::cpu
