#pragma once

#include <metal_stdlib>

using namespace metal;

// What the standard library has not, or not to the last places.

/// e^x - 1 for x <= 0. Kahan: the rounding error of e^x is the same in e^x - 1 and ln(e^x). Below 2^-25 there
/// is no difference to -1 that would show.
inline float4 exponential_less_one(float4 x) {
    const float4 one = float4(1.0f), power = exp(x), less_one = power - one;
    const float4 corrected = select(less_one * x / log(power), less_one, power < float4(2.98023224e-8f));
    return select(corrected, x, power == one);
}

/// ln(1 + x) for x >= 0, the same way.
inline float4 logarithm_of_one_plus(float4 x) {
    const float4 one = float4(1.0f), sum = one + x;
    return select(log(sum) * x / (sum - one), x, sum == one);
}

inline float4 sigmoid(float4 x) {
    const float4 power = exp(-fabs(x)), result = float4(1.0f) / (float4(1.0f) + power);
    return select(result, power * result, x < float4(0.0f));
}

/// ln(1 + e^x).
inline float4 softplus(float4 x) { return max(x, float4(0.0f)) + logarithm_of_one_plus(exp(-fabs(x))); }

/// x / 2 * (1 + erf(x / sqrt 2)); NaN at -infinity, as the formula.
inline float4 gelu(float4 x) {
    // Beyond 15 the normal distribution's tail is zero.
    const float4 one = float4(1.0f), z = min(float4(15.0f), fabs(x));
    // The tail from z on is e^(-z^2 / 2) g(t) / (z + 4), t = (z - 4) / (z + 4); g with the least maximal
    // relative error.
    const float4 inverse = one / (z + 4.0f), t = fma(float4(-8.0f), inverse, one);
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
    const float4 half_z = -0.5f * z, square = z * half_z, lost = fma(z, half_z, -square);
    const float4 tail = g * inverse * (exp(square) * (one + lost));
    return select(x * (one - tail), x * tail, x < float4(0.0f));
}
