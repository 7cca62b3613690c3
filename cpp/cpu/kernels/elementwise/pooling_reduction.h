#pragma once

// Reductions of the taps of a pooling window to one value: maximum, mean and L2 norm. Each is a class whose
// state is some registers for one vector of channels.
//
// start(initial) is called before the first tap; a maximum starts with `initial`. add(x, times) adds a tap
// that counts `times` times, as taps at a clamped border do. end_row(times) ends a row of taps that counts
// `times` times.

#include "cpu/isa/kernel_math.h"
#include "cpu/isa/lanes.h"
#include "cpu/isa/simd_math.h"

namespace mpscnn::cpu {
namespace {

/// The maximum, for windows without NaN.
template <class V> struct Maximum {
    typename V::reg best;

    MPSCNN_INLINE void start(float initial) { best = V::set1(initial); }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t) { best = V::max(best, x); }
    MPSCNN_INLINE void end_row(std::int64_t) {}
    MPSCNN_INLINE typename V::reg result(float) const { return best; }
};

template <class V> struct MaximumOrNan {
    typename V::reg best, nan; ///< zero, or NaN after the first NaN: a sum keeps it, a maximum would not

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

/// The mean. Each row of taps is summed separately first, so that the rounding error of a large window grows
/// with its height plus its width instead of their product.
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
    static constexpr float smallest = 1e-30f; ///< the smallest sum of squares that is precise

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
    /// Return 1 in the lanes where squares may have overflowed or underflowed, otherwise 0. A sum of 0 may be
    /// an underflow, so it gives 1, too. Only the first `left` lanes count.
    MPSCNN_INLINE typename V::reg beyond_float(std::int64_t left) const {
        const auto one = V::set1(1.0f), zero = V::zero();
        const auto is_small = V::select(V::less(total, V::set1(smallest)), one, zero);
        const auto is_beyond = V::select(V::less(total, V::set1(__builtin_inff())), is_small, one);
        return fill_lanes<V>(is_beyond, left, 0.0f);
    }
};

/// The largest magnitude.
template <class V> struct Magnitude {
    typename V::reg largest;

    MPSCNN_INLINE void start(float) { largest = V::zero(); }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t) { largest = V::max(largest, absolute<V>(x)); }
    MPSCNN_INLINE void end_row(std::int64_t) {}
};

/// The L2 norm of elements that are multiplied by a power of two before they are squared. The power depends
/// on their largest magnitude.
template <class V> struct ScaledNorm : EuclideanNorm<V> {
    typename V::reg scale, inverse;

    MPSCNN_INLINE void scale_for(typename V::reg magnitude) {
        const auto one = V::set1(1.0f), up = V::set1(0x1p100f), down = V::set1(0x1p-100f);
        const auto is_small = V::less(magnitude, V::set1(1e-14f)), is_large = V::less(one, magnitude);
        scale = V::select(is_large, down, V::select(is_small, up, one));
        inverse = V::select(is_large, up, V::select(is_small, down, one));
    }
    MPSCNN_INLINE void add(typename V::reg x, std::int64_t times) {
        EuclideanNorm<V>::add(V::mul(x, scale), times);
    }
    MPSCNN_INLINE typename V::reg result(float divisor) const {
        return V::mul(EuclideanNorm<V>::result(divisor), inverse);
    }
};

} // namespace
} // namespace mpscnn::cpu
