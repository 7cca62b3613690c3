#pragma once

#include <metal_stdlib>

#include "activation_params.h"

using namespace metal;

/// The activation of four feature channels. Comparisons are such that NaN passes; a negative slope of zero
/// gives zero for -infinity too.
inline float4 activate(float4 x, constant ActivationParams &activation, float4 slopes) {
    if (activation.kind == activation_linear) return activation.a * x + activation.b;
    if (activation.kind == activation_prelu) return select(x, slopes * x, x < float4(0.0f));
    if (activation.kind != activation_relu && activation.kind != activation_relun) return x;
    const float4 negative = activation.a == 0.0f ? float4(0.0f) : activation.a * x;
    const float4 rectified = select(x, negative, x < float4(0.0f));
    if (activation.kind == activation_relu) return rectified;
    return select(rectified, float4(activation.b), rectified > float4(activation.b));
}
