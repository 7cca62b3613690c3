#pragma once

#include <metal_stdlib>

#include "activation_params.h"
#include "exponentials.h"

using namespace metal;

/// A layer's activation is compiled into its shader.
constant int activation_kind [[function_constant(0)]];

// NaN passes these, unlike max and min.
inline float4 at_least(float4 x, float low) { return select(x, float4(low), x < float4(low)); }
inline float4 at_most(float4 x, float high) { return select(x, float4(high), x > float4(high)); }

/// x^c as C's pow: NaN for a finite negative x and a fractional c, infinity or 0 for -infinity. But NaN^0 is
/// NaN.
inline float4 signed_power(float4 x, float c) {
    const float4 magnitude = pow(fabs(x), float4(c));
    if (c != trunc(c)) return select(magnitude, float4(NAN), x < float4(0.0f) && x > float4(-INFINITY));
    const bool odd = fabs(fmod(c, 2.0f)) == 1.0f;
    return odd ? select(magnitude, -magnitude, x < float4(0.0f)) : magnitude;
}

/// Activations with an exponential or a logarithm.
inline float4 activate_smoothly(float4 x, constant ActivationParams &activation) {
    const float a = activation.a, b = activation.b, c = activation.c;
    switch (activation_kind) {
    case activation_sigmoid:
        return sigmoid(x);
    case activation_tanh:
        return a * tanh(b * x);
    case activation_softplus:
        return a * softplus(b * x);
    case activation_elu:
        return select(x, a * exponential_less_one(min(x, float4(0.0f))), x < float4(0.0f));
    case activation_power:
        return signed_power(a * x + b, c);
    case activation_exponential:
        return c == -1.0f ? exp(a * x + b) : pow(float4(c), a * x + b);
    case activation_logarithm:
        return c == -1.0f ? log(a * x + b) : log2(a * x + b) / log2(c);
    default:
        return gelu(x);
    }
}

/// The activation of four feature channels. Comparisons are such that NaN passes; a negative slope of zero
/// gives zero for -infinity too.
inline float4 activate(float4 x, constant ActivationParams &activation, float4 slopes) {
    const float a = activation.a, b = activation.b;
    const float4 zero = float4(0.0f), one = float4(1.0f);
    const float4 rectified = select(x, a == 0.0f ? zero : a * x, x < zero);
    switch (activation_kind) {
    case activation_none:
        return x;
    case activation_relu:
        return rectified;
    case activation_relun:
        return at_most(rectified, b);
    case activation_prelu:
        return select(x, slopes * x, x < zero);
    case activation_linear:
        return a * x + b;
    case activation_hard_sigmoid:
        return at_most(at_least(a * x + b, 0.0f), 1.0f);
    case activation_absolute:
        return fabs(x);
    case activation_softsign:
        return x / (one + fabs(x));
    default:
        return select(activate_smoothly(x, activation), x, x != x);
    }
}

/// The slopes of a PReLU follow `count` other terms of the same slices.
inline float4 slopes_of(const device float4 *terms, uint count, uint slice, uint slices) {
    return activation_kind == activation_prelu ? terms[count * slices + slice] : float4(0.0f);
}
