"""Sources of Metal kernels that users could write, for the tests of `MetalKernel`."""

from __future__ import annotations

from typing import Any

import numpy as np

PREFIX = "#include <metal_stdlib>\nusing namespace metal;\n"

BLUR = (
    PREFIX
    + """
constant int radius [[function_constant(0)]];

kernel void blur(texture2d<float, access::read> source [[texture(0)]],
                 texture2d<float, access::write> result [[texture(1)]],
                 uint2 position [[thread_position_in_grid]]) {
    if (position.x >= result.get_width() || position.y >= result.get_height()) return;
    float4 sum = float4(0.0f);
    for (int i = -radius; i <= radius; ++i) {
        int x = clamp(int(position.x) + i, 0, int(source.get_width()) - 1);
        sum += source.read(uint2(uint(x), position.y));
    }
    result.write(sum / float(2 * radius + 1), position);
}
"""
)

SCALE = (
    PREFIX
    + """
struct Range { float lowest, highest; };

kernel void scale(const device float *values [[buffer(0)]], device float *results [[buffer(2)]],
                  constant float &factor [[buffer(3)]], constant Range &range [[buffer(4)]],
                  uint position [[thread_position_in_grid]]) {
    if (position >= 10u) return;
    results[position] = clamp(values[position] * factor, range.lowest, range.highest);
}
"""
)

SLICES = (
    PREFIX
    + """
kernel void shift(texture2d_array<half, access::read> source [[texture(0)]],
                  texture2d_array<half, access::write> result [[texture(1)]],
                  const device half4 *shifts [[buffer(0)]], uint3 position [[thread_position_in_grid]]) {
    if (position.x >= result.get_width() || position.y >= result.get_height() ||
        position.z >= result.get_array_size()) return;
    result.write(source.read(position.xy, position.z) + shifts[position.z], position.xy, position.z);
}
"""
)

CONSTANTS = (
    PREFIX
    + """
constant bool flag [[function_constant(0)]];
constant int whole [[function_constant(1)]];
constant uint large [[function_constant(2)]];
constant short small [[function_constant(3)]];
constant ushort tiny [[function_constant(4)]];
constant half rough [[function_constant(5)]];
constant float fine [[function_constant(6)]];
constant float4 four [[function_constant(7)]];
constant half3 three [[function_constant(8)]];
constant uchar2 two [[function_constant(9)]];

kernel void tell(device float *results [[buffer(0)]], uint position [[thread_position_in_grid]]) {
    if (position > 0u) return;
    results[0] = flag ? 1.0f : 0.0f;
    results[1] = float(whole);
    results[2] = float(large);
    results[3] = float(small);
    results[4] = float(tiny);
    results[5] = float(rough);
    results[6] = fine;
    results[7] = four.w;
    results[8] = float(three.z);
    results[9] = float(two.y);
}
"""
)
VALUES: dict[str, Any] = {
    "flag": True,
    "whole": -5,
    "large": 4_000_000_000,
    "small": np.int16(-300),
    "tiny": 65535,
    "rough": 0.5,
    "fine": np.float32(1.25),
    "four": (1, 2, 3, 4),
    "three": np.array([1, 2, 3], np.float16),
    "two": [7, 8],
}

COUNT_UP = (
    PREFIX
    + """
kernel void count_up(device int *value [[buffer(0)]], uint position [[thread_position_in_grid]]) {
    if (position == 0u) value[0] += 1;
}
"""
)
