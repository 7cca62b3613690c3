#pragma once

// Elementary functions in every lane, with float arithmetic only. Where a result would lose digits,
// intermediate values are sums of two floats. The errors stated here are in units in the last place (ulp);
// tests/cpp/cpu/kernels_neuron_test.cpp measures them. The rules of simd.h for kernel headers hold.

#include "cpu/isa/simd.h"

namespace mpscnn::cpu {
namespace {

constexpr float smallest_normal = 0x1p-126f;

/// A number that is the sum of two floats. The second one is the rounding error of the first.
template <class V> struct Extended {
    typename V::reg high, low;
};

/// Return -x with the compiler's operator, which it can merge into an FMA.
template <class V> MPSCNN_INLINE typename V::reg negate(typename V::reg x) {
    if constexpr (requires { x.first; })
        return {-x.first, -x.second};
    else
        return -x;
}
/// Return |x|. For -0 the result may be 0 or -0.
template <class V> MPSCNN_INLINE typename V::reg absolute(typename V::reg x) {
    return V::max(negate<V>(x), x);
}

/// Compute e^x or e^(x + low) for x <= 0, with less work than exponential(). The sum x + low may be slightly
/// above 0.
template <class V, class... Low>
MPSCNN_INLINE typename V::reg exponential_of_negative(typename V::reg x, Low... low) {
    ReducedExponent<V> reduced(V::max(V::set1(-104.0f), x));
    if constexpr (sizeof...(low) > 0) reduced.r = V::add(reduced.r, low...);
    const auto p = V::add(expm1_reduced<V>(reduced.r), V::set1(1.0f));
    if constexpr (V::has_scale) return V::scale(p, reduced.n);
    // n >= -150, and n + 25 is within the exponents of floats. Only the second product may round.
    const auto raised = V::power_of_two(V::add(reduced.n, V::set1(25.0f)));
    return V::mul(V::mul(p, raised), V::set1(0x1p-25f));
}

/// Return a * b exactly, except for overflow and underflow, for |a| < 2^115 and |b| < 2^115.
template <class V> MPSCNN_INLINE Extended<V> product(typename V::reg a, typename V::reg b) {
    const auto high = V::mul(a, b);
    if constexpr (V::has_fma) {
        return {high, V::fma(a, b, negate<V>(high))};
    } else {
        // Dekker 1971: split factors into halves of 12 bits, whose products are exact.
        const auto splitter = V::set1(4097.0f);
        const auto a_shifted = V::mul(a, splitter), b_shifted = V::mul(b, splitter);
        const auto a1 = V::sub(a_shifted, V::sub(a_shifted, a)), a2 = V::sub(a, a1);
        const auto b1 = V::sub(b_shifted, V::sub(b_shifted, b)), b2 = V::sub(b, b1);
        auto low = V::sub(V::mul(a1, b1), high);
        low = V::add(low, V::mul(a1, b2));
        low = V::add(low, V::mul(a2, b1));
        return {high, V::add(low, V::mul(a2, b2))};
    }
}

/// Return ln x for finite x > 0, subnormal x included, with a relative error of about 2^-30.
template <class V> MPSCNN_INLINE Extended<V> extended_logarithm(typename V::reg x) {
    const auto one = V::set1(1.0f);
    const auto is_subnormal = V::less(x, V::set1(smallest_normal));
    x = V::select(is_subnormal, V::mul(x, V::set1(0x1p24f)), x);
    // x = m 2^e with sqrt(1/2) <= m < sqrt 2.
    auto e = V::sub(V::exponent(x), V::select(is_subnormal, V::set1(24.0f), V::zero()));
    auto m = V::significand(x);
    const auto is_large = V::less(V::set1(1.41421356f), m);
    m = V::select(is_large, V::mul(m, V::set1(0.5f)), m);
    e = V::select(is_large, V::add(e, one), e);
    // s + s_low = (m - 1) / (m + 1). d_low is the rounding error of m + 1.
    const auto f = V::sub(m, one), d = V::add(m, one), d_low = V::sub(m, V::sub(d, one));
    const auto inverse = V::div(one, d), s = V::mul(f, inverse);
    const auto sd = product<V>(s, d);
    const auto rest = V::sub(V::sub(V::sub(f, sd.high), sd.low), V::mul(s, d_low));
    const auto s_low = V::mul(rest, inverse);
    // ln m = 2 s + s^3 r(s^2). r minimizes the maximum relative error over s^2 <= 0.0295.
    const auto w = V::mul(s, s);
    auto r = V::set1(2.333344544e-1f);
    r = V::fma(r, w, V::set1(2.855070728e-1f));
    r = V::fma(r, w, V::set1(4.000012289e-1f));
    r = V::fma(r, w, V::set1(6.666666655e-1f));
    // ln 2 is the sum of two parts; e times the first part is exact.
    const auto whole = V::mul(e, V::set1(0.693359375f)), twice = V::add(s, s);
    const auto high = V::add(whole, twice);
    auto low = V::sub(twice, V::sub(high, whole));
    low = V::add(low, V::fma(e, V::set1(-2.12194440e-4f), V::add(s_low, s_low)));
    low = V::fma(V::mul(w, s), r, low);
    const auto sum = V::add(high, low);
    return {sum, V::sub(low, V::sub(sum, high))};
}

/// Compute ln(a) * (factor + factor_low) for any a, with an error of 1 ulp. The result is NaN for negative a.
/// For 0 it is -infinity, or infinity if the factor is negative.
template <class V>
MPSCNN_INLINE typename V::reg scaled_logarithm(typename V::reg a, float factor, float factor_low) {
    const auto infinity = V::set1(__builtin_inff());
    const auto f = V::set1(factor);
    const auto logarithm = extended_logarithm<V>(a);
    const auto scaled = product<V>(logarithm.high, f);
    const auto low = V::fma(logarithm.high, V::set1(factor_low), V::fma(logarithm.low, f, scaled.low));
    const auto result = V::select(V::less(a, infinity), V::add(scaled.high, low), V::mul(a, f));
    const auto not_positive = V::select(V::less(a, V::zero()), V::set1(__builtin_nanf("")),
                                        V::set1(factor > 0.0f ? -__builtin_inff() : __builtin_inff()));
    return V::select(V::less(a, V::set1(0x1p-149f)), not_positive, result);
}

/// Compute e^(a * (factor + factor_low)), with an error of 2 ulp.
template <class V>
MPSCNN_INLINE typename V::reg scaled_exponential(typename V::reg a, float factor, float factor_low) {
    // Beyond this limit the result is zero, one or infinity. Without it, an infinite a times a factor of 0
    // would be NaN.
    const auto limit = V::set1(0x1p100f);
    a = V::max(negate<V>(limit), V::min(limit, a));
    const auto scaled = product<V>(a, V::set1(factor));
    const auto low = V::fma(a, V::set1(factor_low), scaled.low);
    const auto in_range = V::less(absolute<V>(scaled.high), V::set1(128.0f));
    return exponential<V>(scaled.high, V::select(in_range, low, V::zero()));
}

/// Compute x^c like C's pow, with an error of 2 ulp, except that NaN^0 is NaN, and that the powers 1/2 and
/// -1/2 of -0 are -0 and -infinity, as those of square roots are.
template <class V> MPSCNN_INLINE typename V::reg power(typename V::reg x, float c) {
    const auto zero = V::zero(), one = V::set1(1.0f), infinity = V::set1(__builtin_inff());
    const bool is_large = c >= 0x1p24f || c <= -0x1p24f; // then c is an even number
    const bool is_whole = is_large || static_cast<float>(static_cast<std::int32_t>(c)) == c;
    const bool is_odd = is_whole && !is_large && static_cast<std::int32_t>(c) % 2 != 0;
    const auto magnitude = absolute<V>(x), exponent = V::set1(c);
    const auto logarithm = extended_logarithm<V>(magnitude);
    const auto scaled = product<V>(logarithm.high, exponent);
    const auto low = V::fma(logarithm.low, exponent, scaled.low);
    const auto in_range = V::less(absolute<V>(scaled.high), V::set1(128.0f));
    auto result = exponential<V>(scaled.high, V::select(in_range, low, zero));
    const bool is_root = c == 0.5f || c == -0.5f;
    const auto signed_zero = is_odd || is_root ? x : V::add(magnitude, zero); // -0 gives -0 or -infinity
    const auto at_zero = c > 0.0f ? signed_zero : c < 0.0f ? V::div(one, signed_zero) : one;
    result = V::select(V::less(zero, magnitude), result, at_zero);
    // Magnitudes that are not below infinity are infinity or NaN.
    const auto beyond = c > 0.0f ? magnitude : c < 0.0f ? V::div(one, magnitude) : V::min(one, magnitude);
    result = V::select(V::less(magnitude, infinity), result, beyond);
    if (is_odd) return V::select(V::less(x, zero), negate<V>(result), result);
    if (is_whole) return result;
    const auto of_negative = V::select(V::less(negate<V>(infinity), x), V::set1(__builtin_nanf("")), result);
    return V::select(V::less(x, zero), of_negative, result);
}

/// Return the nearest whole number, ties to even.
template <class V> MPSCNN_INLINE typename V::reg nearest_whole(typename V::reg x) {
    // Floats of 2^23 and more are whole numbers. Adding 2^23 to smaller ones leaves no bits after the binary
    // point.
    const auto shifter = V::set1(0x1p23f), magnitude = absolute<V>(x);
    const auto whole = V::sub(V::add(magnitude, shifter), shifter);
    const auto with_sign = V::select(V::less(x, V::zero()), negate<V>(whole), whole);
    return V::select(V::less(magnitude, shifter), with_sign, x);
}

/// Compute x^c like C's pow, with an error of 2 ulp, except that the result is NaN if either operand is NaN.
template <class V> MPSCNN_INLINE typename V::reg power(typename V::reg x, typename V::reg c) {
    const auto zero = V::zero(), one = V::set1(1.0f), infinity = V::set1(__builtin_inff());
    // Beyond 2^100 powers equal those with an infinite exponent. Limit it, because infinity times a logarithm
    // of 0 would be NaN.
    const auto limit = V::set1(0x1p100f);
    c = V::max(negate<V>(limit), V::min(limit, c));
    const auto magnitude = absolute<V>(x);
    const auto logarithm = extended_logarithm<V>(magnitude);
    const auto scaled = product<V>(logarithm.high, c);
    const auto low = V::fma(logarithm.low, c, scaled.low);
    const auto in_range = V::less(absolute<V>(scaled.high), V::set1(128.0f));
    const auto of_finite = exponential<V>(scaled.high, V::select(in_range, low, zero));
    // Select by the sign of the exponent c; NaN stays NaN.
    const auto by_sign = [&](auto above, auto below, auto otherwise) {
        return V::select(V::less(zero, c), above, V::select(V::less(c, zero), below, otherwise));
    };
    auto result = V::select(V::less(zero, magnitude), of_finite, by_sign(zero, infinity, one));
    const auto beyond = by_sign(magnitude, V::div(one, magnitude), V::min(one, magnitude));
    result = V::select(V::less(magnitude, infinity), result, beyond);
    // Negative x, including -0: an odd power is negative, and a power that is not whole is NaN.
    const auto half = V::mul(V::set1(0.5f), c);
    const auto odd = V::select(V::equal(nearest_whole<V>(half), half), result, negate<V>(result));
    const auto not_whole = V::select(V::less(magnitude, infinity), V::set1(__builtin_nanf("")), result);
    const auto of_negative = V::select(V::equal(nearest_whole<V>(c), c), odd, not_whole);
    result = V::select(V::less(x, zero), of_negative, result);
    const auto of_zero = V::select(V::less(V::div(one, x), zero),
                                   V::select(V::equal(nearest_whole<V>(c), c), odd, result), result);
    return V::add(V::select(V::equal(x, zero), of_zero, result), V::sub(c, c));
}

/// Compute e^x - 1 for x <= 0, with an error of 2 ulp.
template <class V> MPSCNN_INLINE typename V::reg expm1(typename V::reg x) {
    // Below this limit the result is -1, and 2^n would exceed the exponents of a float.
    const ReducedExponent<V> reduced(V::max(V::set1(-80.0f), x));
    const auto two_n = V::power_of_two(reduced.n);
    return V::fma(two_n, expm1_reduced<V>(reduced.r), V::sub(two_n, V::set1(1.0f)));
}

/// Compute ln(1 + x) for 0 <= x <= 1, with an error of 1 ulp.
template <class V> MPSCNN_INLINE typename V::reg log1p(typename V::reg x) {
    const auto one = V::set1(1.0f), w = V::add(one, x);
    const auto logarithm = extended_logarithm<V>(w);
    const auto lost = V::sub(x, V::sub(w, one)); // rounding error of 1 + x
    return V::add(logarithm.high, V::add(logarithm.low, V::div(lost, w)));
}

/// Compute 1 / (1 + e^-x), with an error of 3 ulp. Results may be subnormal.
template <class V> MPSCNN_INLINE typename V::reg sigmoid(typename V::reg x) {
    // Beyond these limits the result is 1 or 0.
    const ReducedExponent<V> reduced(V::max(V::set1(-70.0f), V::min(V::set1(104.0f), negate<V>(x))));
    const auto p = V::add(expm1_reduced<V>(reduced.r), V::set1(1.0f));
    // Scale numerator and denominator by 2^-25, because n is up to 150, while n - 25 is within the exponents
    // of floats.
    const auto unit = V::set1(0x1p-25f);
    return V::div(unit, V::fma(p, V::power_of_two(V::sub(reduced.n, V::set1(25.0f))), unit));
}

/// Compute tanh(x), with an error of 6 ulp. The result is between -1 and 1.
template <class V> MPSCNN_INLINE typename V::reg hyperbolic_tangent(typename V::reg x) {
    // Compute x P(x^2) / Q(x^2), which has the minimum relative error over |x| <= 9.02, 2.1e-8 (Remez's
    // algorithm with 60 digits). With rounded coefficients the error is 4.5e-8. For larger |x| the result
    // rounds to 1.
    const auto one = V::set1(1.0f), w = V::mul(x, x);
    auto p = V::set1(1.331906585e-8f), q = V::set1(7.762016594e-7f);
    p = V::fma(p, w, V::set1(2.058347673e-5f));
    q = V::fma(q, w, V::set1(3.283092228e-4f));
    p = V::fma(p, w, V::set1(3.494034288e-3f));
    q = V::fma(q, w, V::set1(2.587107196e-2f));
    p = V::fma(p, w, V::set1(1.337971687e-1f));
    q = V::fma(q, w, V::set1(4.671303332e-1f));
    const auto quotient = V::div(V::mul(x, V::fma(p, w, one)), V::fma(q, w, one));
    const auto result = V::select(V::less(w, V::set1(9.02f * 9.02f)), quotient, x);
    return V::max(V::set1(-1.0f), V::min(one, result));
}

/// Compute ln(1 + e^x), with an error of 2 ulp. Results may be subnormal.
template <class V> MPSCNN_INLINE typename V::reg softplus(typename V::reg x) {
    const auto tail = log1p<V>(exponential_of_negative<V>(negate<V>(absolute<V>(x))));
    return V::add(V::max(V::zero(), x), tail);
}

/// Return the tail of the normal distribution from z on, divided by e^(-z^2 / 2), for 0 <= z <= 15.
template <class V> MPSCNN_INLINE typename V::reg normal_tail(typename V::reg z) {
    // The result is g(t) / (z + 4) with t = (z - 4) / (z + 4). g minimizes the maximum relative error.
    const auto one = V::set1(1.0f), inverse = V::div(one, V::add(z, V::set1(4.0f)));
    const auto t = V::fma(V::set1(-8.0f), inverse, one);
    auto g = V::set1(-1.324347301e-4f);
    g = V::fma(g, t, V::set1(1.783696465e-4f));
    g = V::fma(g, t, V::set1(1.569590239e-3f));
    g = V::fma(g, t, V::set1(-3.512076654e-3f));
    g = V::fma(g, t, V::set1(-7.525003642e-3f));
    g = V::fma(g, t, V::set1(6.040376444e-2f));
    g = V::fma(g, t, V::set1(-1.865234860e-1f));
    g = V::fma(g, t, V::set1(3.871369039e-1f));
    g = V::fma(g, t, V::set1(-6.078965866e-1f));
    g = V::fma(g, t, V::set1(7.552851354e-1f));
    return V::mul(g, inverse);
}

/// Compute x / 2 * (1 + erf(x / sqrt 2)), with an error of 7 ulp. Results may be subnormal. The result is NaN
/// at -infinity, as in the formula.
template <class V> MPSCNN_INLINE typename V::reg gelu(typename V::reg x) {
    // Beyond 15 the tail is zero.
    const auto z = V::min(V::set1(15.0f), absolute<V>(x));
    const auto square = product<V>(z, V::mul(V::set1(-0.5f), z));
    const auto power = exponential_of_negative<V>(square.high, square.low);
    // Multiply by x before the power, to keep subnormal results. Limit x, because infinity times a power of
    // zero would be NaN.
    const auto scaled = V::mul(V::min(V::set1(0x1.fffffep127f), x), normal_tail<V>(z));
    return V::select(V::less(x, V::zero()), V::mul(scaled, power), V::fma(negate<V>(scaled), power, x));
}

/// Compute erf(x), which is 2 / sqrt pi times the integral of e^(-t^2) from 0 to x, with an error of 3 ulp.
template <class V> MPSCNN_INLINE typename V::reg erf(typename V::reg x) {
    const auto one = V::set1(1.0f), zero = V::zero();
    // Beyond 10 the result rounds to 1.
    const auto y = V::min(V::set1(10.0f), absolute<V>(x)), w = V::mul(y, y);
    // For |x| <= 1, compute x p(x^2). p minimizes the maximum relative error, 1.3e-9.
    auto p = V::set1(7.853860734e-5f);
    p = V::fma(p, w, V::set1(-8.010193706e-4f));
    p = V::fma(p, w, V::set1(5.188327748e-3f));
    p = V::fma(p, w, V::set1(-2.685381286e-2f));
    p = V::fma(p, w, V::set1(1.128358543e-1f));
    p = V::fma(p, w, V::set1(-3.761262596e-1f));
    p = V::fma(p, w, V::set1(1.128379107f));
    const auto tail =
        V::mul(normal_tail<V>(V::mul(V::set1(1.41421356f), y)), exponential_of_negative<V>(negate<V>(w)));
    const auto rest = V::fma(V::set1(-2.0f), tail, one);
    const auto of_large = V::select(V::less(x, zero), negate<V>(rest), rest);
    return V::select(V::less(y, one), V::mul(x, p), of_large);
}

/// Compute x / (1 + e^-t), with an error of 4 ulp, plus |x| 2^-150 where 1 / (1 + e^-t) is subnormal. The
/// result is NaN for t = -infinity and infinite x, as in the formula.
template <class V> MPSCNN_INLINE typename V::reg times_sigmoid(typename V::reg x, typename V::reg t) {
    return V::mul(x, sigmoid<V>(t));
}

/// Compute x tanh(ln(1 + e^x)), with an error of 6 ulp. Results may be subnormal. The result is NaN at
/// -infinity, as in the formula.
template <class V> MPSCNN_INLINE typename V::reg mish(typename V::reg x) {
    // With z = e^-|x|, the tanh is (2 z + 1) / (2 z^2 + 2 z + 1) for x >= 0, and z (z + 2) / (z^2 + 2 z + 2)
    // for x < 0.
    const auto one = V::set1(1.0f), two = V::set1(2.0f);
    const auto negative = V::less(x, V::zero());
    const auto root = exponential_of_negative<V>(V::mul(V::set1(-0.5f), absolute<V>(x)));
    const auto z = V::mul(root, root), factor = V::select(negative, root, one);
    const auto sum = V::select(negative, V::add(z, two), V::fma(two, z, one));
    const auto divisor =
        V::select(negative, V::fma(z, V::add(z, two), two), V::fma(V::add(z, z), V::add(z, one), one));
    return V::div(V::mul(V::mul(V::mul(x, factor), factor), sum), divisor);
}

/// Return the largest whole number that is at most x.
template <class V> MPSCNN_INLINE typename V::reg floor(typename V::reg x) {
    const auto whole = nearest_whole<V>(x);
    return V::select(V::less(x, whole), V::sub(whole, V::set1(1.0f)), whole);
}

} // namespace
} // namespace mpscnn::cpu
