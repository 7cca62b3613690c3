#pragma once

// Two registers that are used as one of double width, for functions that are long chains of operations. A
// processor overlaps the two chains. There are only the operations that simd_math.h needs. The rules of
// simd.h for kernel headers hold.

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

template <class V> struct Twice {
    static constexpr bool has_fma = V::has_fma;
    static constexpr bool has_scale = V::has_scale;

    struct reg {
        typename V::reg first, second;
    };
    struct mask {
        typename V::mask first, second;
    };

    static MPSCNN_INLINE reg zero() { return {V::zero(), V::zero()}; }
    static MPSCNN_INLINE reg set1(float x) { return {V::set1(x), V::set1(x)}; }

    static MPSCNN_INLINE reg add(reg a, reg b) {
        return {V::add(a.first, b.first), V::add(a.second, b.second)};
    }
    static MPSCNN_INLINE reg sub(reg a, reg b) {
        return {V::sub(a.first, b.first), V::sub(a.second, b.second)};
    }
    static MPSCNN_INLINE reg mul(reg a, reg b) {
        return {V::mul(a.first, b.first), V::mul(a.second, b.second)};
    }
    static MPSCNN_INLINE reg div(reg a, reg b) {
        return {V::div(a.first, b.first), V::div(a.second, b.second)};
    }
    static MPSCNN_INLINE reg fma(reg a, reg b, reg c) {
        return {V::fma(a.first, b.first, c.first), V::fma(a.second, b.second, c.second)};
    }
    static MPSCNN_INLINE reg max(reg limit, reg x) {
        return {V::max(limit.first, x.first), V::max(limit.second, x.second)};
    }
    static MPSCNN_INLINE reg min(reg limit, reg x) {
        return {V::min(limit.first, x.first), V::min(limit.second, x.second)};
    }
    static MPSCNN_INLINE mask less(reg a, reg b) {
        return {V::less(a.first, b.first), V::less(a.second, b.second)};
    }
    static MPSCNN_INLINE reg select(mask m, reg a, reg b) {
        return {V::select(m.first, a.first, b.first), V::select(m.second, a.second, b.second)};
    }
    static MPSCNN_INLINE reg scale(reg a, reg n)
        requires has_scale
    {
        return {V::scale(a.first, n.first), V::scale(a.second, n.second)};
    }
    static MPSCNN_INLINE reg power_of_two(reg n) {
        return {V::power_of_two(n.first), V::power_of_two(n.second)};
    }
    static MPSCNN_INLINE reg exponent(reg a) { return {V::exponent(a.first), V::exponent(a.second)}; }
    static MPSCNN_INLINE reg significand(reg a) {
        return {V::significand(a.first), V::significand(a.second)};
    }
};

} // namespace
} // namespace mpscnn::cpu
