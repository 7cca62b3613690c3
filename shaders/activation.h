#pragma once

#include <metal_stdlib>

#include "activation_params.h"
#include "exponentials.h"
#include "neuron_kind.h"

using namespace metal;

/// The layer's activation, a NeuronKind. It is a function constant, so it is compiled into the shader.
constant int activation_kind [[function_constant(0)]];

// Clamps that return NaN for NaN, unlike max and min.
inline float4 max_or_nan(float4 x, float low) { return select(x, float4(low), x < float4(low)); }
inline float4 min_or_nan(float4 x, float high) { return select(x, float4(high), x > float4(high)); }

/// Return x^c like C's pow: NaN for a finite negative x and a fractional c, infinity or 0 for x = -infinity.
/// The powers 1/2 and -1/2 of -0 are -0 and -infinity, as those of square roots are. Like pow it returns 1
/// for NaN^0; activate_as returns NaN instead.
inline float4 signed_power(float4 x, float c) {
    const float4 magnitude = pow(fabs(x), float4(c));
    if (c != trunc(c)) {
        const float4 of_zero = fabs(c) == 0.5f ? copysign(magnitude, x) : magnitude;
        const float4 result = select(magnitude, of_zero, x == float4(0.0f));
        return select(result, float4(NAN), x < float4(0.0f) && x > float4(-INFINITY));
    }
    const bool odd = fabs(fmod(c, 2.0f)) == 1.0f;
    return odd ? copysign(magnitude, x) : magnitude;
}

/// Apply an activation with an exponential or a logarithm.
inline float4 activate_smoothly(NeuronKind kind, float4 x, constant ActivationParams &activation) {
    const float a = activation.a, b = activation.b, c = activation.c;
    switch (kind) {
    case NeuronKind::sigmoid:
        return sigmoid(x);
    case NeuronKind::tanh:
        return a * tanh(b * x);
    case NeuronKind::softplus:
        return a * softplus(b * x);
    case NeuronKind::elu:
        return select(x, a * expm1(min(x, float4(0.0f))), x < float4(0.0f));
    case NeuronKind::power:
        return signed_power(a * x + b, c);
    case NeuronKind::exponential:
        return c == -1.0f ? exp(a * x + b) : pow(float4(c), a * x + b);
    case NeuronKind::logarithm:
        return c == -1.0f ? log(a * x + b) : log2(a * x + b) / log2(c);
    case NeuronKind::swish:
        return times_sigmoid(x, b * x);
    case NeuronKind::mish:
        return mish(x);
    // (1 + tanh y) / 2 is the sigmoid of 2 y. The constants are 2 sqrt(2 / pi) times 1 and 0.044715.
    case NeuronKind::gelu_tanh:
        return times_sigmoid(x, x * (1.59576912f + 0.0713548163f * (x * x)));
    case NeuronKind::gelu:
        return gelu(x);
    case NeuronKind::erf:
        return erf(x);
    default: // activate_as computes all other kinds
        return float4(NAN);
    }
}

/// Apply an activation to four feature channels. Comparisons are written so that NaN passes. With a = 0, relu
/// and relun give zero also for -infinity.
inline float4 activate_as(NeuronKind kind, float4 x, constant ActivationParams &activation, float4 slopes) {
    const float a = activation.a, b = activation.b;
    const float4 zero = float4(0.0f), one = float4(1.0f);
    const float4 rectified = select(x, a == 0.0f ? zero : a * x, x < zero);
    switch (kind) {
    case NeuronKind::none:
        return x;
    case NeuronKind::relu:
        return rectified;
    case NeuronKind::relun:
        return min_or_nan(rectified, b);
    case NeuronKind::prelu:
        return select(x, slopes * x, x < zero);
    case NeuronKind::linear:
        return a * x + b;
    case NeuronKind::hard_sigmoid:
        return min_or_nan(max_or_nan(a * x + b, 0.0f), 1.0f);
    case NeuronKind::absolute:
        return fabs(x);
    case NeuronKind::softsign:
        return x / (one + fabs(x));
    case NeuronKind::hard_swish: // x * 6 might overflow, so the order matters
        return x * (min_or_nan(max_or_nan(x + 3.0f, 0.0f), 6.0f) * (1.0f / 6.0f));
    case NeuronKind::clamp:
        return min_or_nan(max_or_nan(x, a), b);
    case NeuronKind::sign:
        return select(select(x, one, x > zero), -one, x < zero);
    case NeuronKind::floor:
        return floor(x);
    case NeuronKind::ceil:
        return ceil(x);
    case NeuronKind::round:
        return rint(x);
    default:
        return select(activate_smoothly(kind, x, activation), x, x != x);
    }
}

/// Apply the layer's activation.
inline float4 activate(float4 x, constant ActivationParams &activation, float4 slopes) {
    return activate_as(static_cast<NeuronKind>(activation_kind), x, activation, slopes);
}

/// Return the slopes of a PReLU, which follow `count` other terms of all slices.
inline float4 slopes_of(const device float4 *terms, uint count, uint slice, uint slices) {
    return static_cast<NeuronKind>(activation_kind) == NeuronKind::prelu ? terms[count * slices + slice]
                                                                         : float4(0.0f);
}
