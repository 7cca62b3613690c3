#pragma once

// How a pooling's taps become one value: a state of registers for each vector of channels.
//
// start(initial): before the first tap, maxima from `initial` on. add(x, times): a tap that is read `times`
// times. end_row(times): the row of taps so far is read `times` times.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

/// Of numbers none of which is NaN.
template <class V> struct Maximum {
    typename V::reg best;

    MPSCNN_INLINE void start(float initial) { best = V::set1(initial); }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t) { best = V::max(best, x); }
    MPSCNN_INLINE void end_row(std::int64_t) {}
    MPSCNN_INLINE typename V::reg result(float) const { return best; }
};

template <class V> struct MaximumOrNan {
    typename V::reg best, nan; ///< zero, or NaN from the first one on: adding keeps it, a maximum would not

    MPSCNN_INLINE void start(float initial) {
        best = V::set1(initial);
        nan = V::zero();
    }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t) {
        best = V::max(best, x);
        nan = V::add(nan, V::max(V::zero(), V::min(V::zero(), x)));
    }
    MPSCNN_INLINE void end_row(std::int64_t) {}
    MPSCNN_INLINE typename V::reg result(float) const {
        return V::select(V::less(nan, V::set1(1.0f)), best, nan);
    }
};

/// Rows are summed on their own first: the rounding error of a large window then grows with its height plus
/// its width, not with their product.
template <class V> struct Mean {
    typename V::reg row, total;

    MPSCNN_INLINE void start(float) { row = total = V::zero(); }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t) { row = V::add(row, x); }
    MPSCNN_INLINE void end_row(std::int64_t) {
        total = V::add(total, row);
        row = V::zero();
    }
    MPSCNN_INLINE typename V::reg result(float divisor) const { return V::div(total, V::set1(divisor)); }
};

template <class V> struct EuclideanNorm {
    typename V::reg row, total;

    MPSCNN_INLINE void start(float) { row = total = V::zero(); }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t times) {
        row = V::fma(times == 1 ? x : V::mul(x, V::set1(static_cast<float>(times))), x, row);
    }
    MPSCNN_INLINE void end_row(std::int64_t times) {
        total = V::fma(row, V::set1(static_cast<float>(times)), total);
        row = V::zero();
    }
    MPSCNN_INLINE typename V::reg result(float) const { return V::sqrt(total); }
};

} // namespace
} // namespace mpscnn::cpu
