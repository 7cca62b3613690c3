// Sums over axes, and copies. Separate threads sum the parts of each sum, and then the parts are added.

#include <metal_stdlib>

#include "array_access.h"
#include "array_sum_params.h"

using namespace metal;

kernel void array_sum(constant ArraySumParams &params [[buffer(0)]], const device float *source [[buffer(1)]],
                      device float *result [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace first = array_place(i % params.results, params.kept);
    const uint channels = params.kept.channels == 1u ? params.source.channels : 1u,
               width = params.kept.width == 1u ? params.source.width : 1u,
               height = params.kept.height == 1u ? params.source.height : 1u,
               images = params.kept.images == 1u ? params.source.images : 1u;
    const uint begin = i / params.results * params.part,
               end = min(begin + params.part, images * height * width * channels);
    LongSum sum;
    sum.begin();
    for (uint k = begin; k < end; ++k) {
        uint rest = k;
        const uint channel = first.channel + rest % channels;
        rest /= channels;
        const uint x = first.x + rest % width;
        rest /= width;
        const uint y = first.y + rest % height;
        const uint image = first.image + rest / height;
        const float value = load(source, array_pixel(image, y, x, params.source) + channel, params.run, 1);
        sum.add(params.squares != 0 ? value * value : value);
    }
    store(result, sum.result() * params.factor, i, params.run, 2);
}

kernel void array_sum_parts(constant ArrayPartsParams &params [[buffer(0)]],
                            const device float *parts [[buffer(1)]], device float *result [[buffer(2)]],
                            uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    LongSum sum;
    sum.begin();
    for (uint part = 0; part < params.parts; ++part) sum.add(parts[part * params.run.threads + i]);
    store(result, sum.result() * params.factor, i, params.run, 2);
}

kernel void array_copy(constant ArrayRun &run [[buffer(0)]], const device float *source [[buffer(1)]],
                       device float *result [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i >= run.threads) return;
    store(result, load(source, i, run, 1), i, run, 2);
}
