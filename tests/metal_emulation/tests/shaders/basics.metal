// Small kernels for the emulation's own tests.
#include <metal_stdlib>

#include "basics_params.h"

using namespace metal;

constant int offset [[function_constant(0)]];
constant float weights[3] = {0.25f, 0.5f, 0.25f};

inline float scaled(float value, constant ScaleParams &params) { return value * params.scale; }

kernel void scale(const device float *source [[buffer(0)]], device float *result [[buffer(1)]],
                  constant ScaleParams &params [[buffer(2)]], uint id [[thread_position_in_grid]]) {
    if (id >= params.count) return;
    result[id] = scaled(source[id], params) + float(offset);
}

#define SMOOTH(NAME, TYPE)                                                                                   \
    kernel void NAME(texture2d<TYPE, access::read> source [[texture(0)]],                                    \
                     texture2d<TYPE, access::write> result [[texture(1)]],                                   \
                     ushort2 id [[thread_position_in_grid]]) {                                               \
        if (id.x >= result.get_width() || id.y >= result.get_height()) return;                               \
        TYPE##4 sum = TYPE##4(0.0f);                                                                         \
        for (int i = 0; i < 3; ++i) {                                                                        \
            int x = clamp(int(id.x) + i - 1, 0, int(source.get_width()) - 1);                                \
            sum += source.read(ushort2(x, id.y)) * TYPE(weights[i]);                                         \
        }                                                                                                    \
        result.write(sum, id);                                                                               \
    }
SMOOTH(smooth_half, half)
SMOOTH(smooth_float, float)

kernel void swap_slices(texture2d_array<half, access::read> source [[texture(0)]],
                        texture2d_array<half, access::write> result [[texture(1)]],
                        uint3 id [[thread_position_in_grid]]) {
    if (id.x >= source.get_width() || id.y >= source.get_height() || id.z >= source.get_array_size()) return;
    half4 value = source.read(id.xy, id.z);
    result.write(value.wzyx, id.xy, source.get_array_size() - 1u - id.z);
}

// Sum of each row, by a tree in threadgroup memory.
kernel void sum_rows(const device float *source [[buffer(0)]], device float *sums [[buffer(1)]],
                     threadgroup float *partial [[threadgroup(0)]], constant uint &width [[buffer(2)]],
                     uint row [[threadgroup_position_in_grid]], uint lane [[thread_index_in_threadgroup]],
                     uint lanes [[threads_per_threadgroup]]) {
    float sum = 0.0f;
    for (uint x = lane; x < width; x += lanes) sum += source[row * width + x];
    partial[lane] = sum;
    for (uint half_way = lanes / 2u; half_way > 0u; half_way /= 2u) {
        threadgroup_barrier(mem_flags::mem_threadgroup);
        if (lane < half_way) partial[lane] += partial[lane + half_way];
    }
    if (lane == 0u) sums[row] = partial[0];
}

kernel void reverse_in_group(device int *values [[buffer(0)]], uint id [[thread_position_in_grid]],
                             uint lane [[thread_index_in_threadgroup]]) {
    threadgroup int shared_values[64];
    shared_values[lane] = values[id];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    values[id] = shared_values[63u - lane];
}
