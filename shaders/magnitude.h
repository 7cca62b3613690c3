#pragma once

#include <metal_stdlib>

using namespace metal;

/// Return a power of two that scales a magnitude to about 1. Return 1 for 0, infinity and NaN.
inline float4 factor_for(float4 magnitude) {
    const float4 exponent = clamp(floor(log2(magnitude)), float4(-126.0f), float4(126.0f));
    const float4 one = float4(1.0f), factor = select(one, exp2(-exponent), magnitude > float4(0.0f));
    return select(factor, one, magnitude == float4(INFINITY));
}
