#pragma once

#include <metal_stdlib>

using namespace metal;

// Functions that the Metal standard library does not have or computes less accurately.

/// Return e^x - 1 for x <= 0. It uses Kahan's method: the rounding error of e^x is the same in e^x - 1 and
/// ln(e^x), so it cancels. If e^x is below 2^-25, the result rounds to -1.
inline float4 expm1(float4 x) {
    const float4 one = float4(1.0f), power = exp(x), less_one = power - one;
    const float4 corrected = select(less_one * x / log(power), less_one, power < float4(2.98023224e-8f));
    return select(corrected, x, power == one);
}

/// Return ln(1 + x) for x >= 0, with Kahan's method as well.
inline float4 log1p(float4 x) {
    const float4 one = float4(1.0f), sum = one + x;
    return select(log(sum) * x / (sum - one), x, sum == one);
}

inline float4 sigmoid(float4 x) {
    const float4 power = exp(-fabs(x)), result = float4(1.0f) / (float4(1.0f) + power);
    return select(result, power * result, x < float4(0.0f));
}

/// Return ln(1 + e^x).
inline float4 softplus(float4 x) { return max(x, float4(0.0f)) + log1p(exp(-fabs(x))); }

/// Return the tail probability of the normal distribution from z on, divided by e^(-z^2 / 2); 0 <= z <= 15.
inline float4 normal_tail(float4 z) {
    // The tail is g(t) / (z + 4) with t = (z - 4) / (z + 4). The polynomial g minimizes the maximum relative
    // error.
    const float4 one = float4(1.0f), inverse = one / (z + 4.0f), t = fma(float4(-8.0f), inverse, one);
    float4 g = float4(-1.324347301e-4f);
    g = fma(g, t, float4(1.783696465e-4f));
    g = fma(g, t, float4(1.569590239e-3f));
    g = fma(g, t, float4(-3.512076654e-3f));
    g = fma(g, t, float4(-7.525003642e-3f));
    g = fma(g, t, float4(6.040376444e-2f));
    g = fma(g, t, float4(-1.865234860e-1f));
    g = fma(g, t, float4(3.871369039e-1f));
    g = fma(g, t, float4(-6.078965866e-1f));
    g = fma(g, t, float4(7.552851354e-1f));
    return float4(g * inverse);
}

/// Return x / 2 * (1 + erf(x / sqrt 2)). It is NaN at -infinity, like the formula.
inline float4 gelu(float4 x) {
    // Beyond 15 the tail is zero.
    const float4 one = float4(1.0f), z = min(float4(15.0f), fabs(x));
    const float4 half_z = -0.5f * z, square = z * half_z, lost = fma(z, half_z, -square);
    const float4 tail = normal_tail(z) * (exp(square) * (one + lost));
    return select(x * (one - tail), x * tail, x < float4(0.0f));
}

/// Return erf(x), 2 / sqrt pi times the integral of e^(-t^2) from 0 to x.
inline float4 erf(float4 x) {
    // Beyond 10 the result rounds to 1.
    const float4 y = min(float4(10.0f), fabs(x)), w = y * y;
    // For |x| <= 1, erf(x) = x p(x^2). The polynomial p minimizes the maximum relative error.
    float4 p = float4(7.853860734e-5f);
    p = fma(p, w, float4(-8.010193706e-4f));
    p = fma(p, w, float4(5.188327748e-3f));
    p = fma(p, w, float4(-2.685381286e-2f));
    p = fma(p, w, float4(1.128358543e-1f));
    p = fma(p, w, float4(-3.761262596e-1f));
    p = fma(p, w, float4(1.128379107f));
    const float4 rest = float4(1.0f) - 2.0f * normal_tail(1.41421356f * y) * exp(-w);
    return select(select(rest, -rest, x < float4(0.0f)), x * p, y < float4(1.0f));
}

/// Return x / (1 + e^-t). It is NaN for t = -infinity and infinite x, like the formula.
inline float4 times_sigmoid(float4 x, float4 t) {
    // x is multiplied twice by the square root of e^-|t|, because e^-|t| alone may underflow.
    const float4 one = float4(1.0f), root = exp(-0.5f * fabs(t));
    const float4 factor = select(one, root, t < float4(0.0f));
    return x * factor * factor / fma(root, root, one);
}

/// Return x tanh(ln(1 + e^x)). It is NaN at -infinity, like the formula.
inline float4 mish(float4 x) {
    // With z = e^-|x| the hyperbolic tangent is (2 z + 1) / (2 z^2 + 2 z + 1) for x >= 0, and z (z + 2) /
    // (z^2 + 2 z + 2) for x < 0.
    const float4 one = float4(1.0f), root = exp(-0.5f * fabs(x)), z = root * root;
    const float4 of_positive = x * (2.0f * z + one) / (2.0f * z * (z + one) + one);
    const float4 of_negative = x * root * root * (z + 2.0f) / (z * (z + 2.0f) + 2.0f);
    return select(of_positive, of_negative, x < float4(0.0f));
}
