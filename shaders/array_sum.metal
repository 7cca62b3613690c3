// Sums over axes, and copies. Each sum is divided into parts, which separate threads compute; then the parts
// are added.

#include <metal_stdlib>

#include "array_access.h"
#include "array_sum_params.h"

using namespace metal;

/// Return the position of element `number` in an array with these extents.
inline ArrayPlace summed_place(uint number, ArrayImage extents) {
    ArrayPlace place;
    place.channel = number % extents.channels;
    number /= extents.channels;
    place.x = number % extents.width;
    number /= extents.width;
    place.y = number % extents.height;
    place.image = number / extents.height;
    return place;
}

/// Return the position `at` + `step`, with carries but without a division.
inline ArrayPlace advanced(ArrayPlace at, ArrayPlace step, ArrayImage extents) {
    at.channel += step.channel;
    at.x += step.x;
    at.y += step.y;
    at.image += step.image;
    if (at.channel >= extents.channels) {
        at.channel -= extents.channels;
        ++at.x;
    }
    if (at.x >= extents.width) {
        at.x -= extents.width;
        ++at.y;
    }
    if (at.y >= extents.height) {
        at.y -= extents.height;
        ++at.image;
    }
    return at;
}

/// Compute the parts of sums. A part has every `parts`-th element, so that adjacent threads read adjacent
/// elements.
kernel void array_sum(constant ArraySumParams &params [[buffer(0)]], const device float *source [[buffer(1)]],
                      device float *result [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i >= params.run.threads) return;
    const ArrayPlace first = array_place(i % params.results, params.kept);
    ArrayImage summed;
    summed.channels = params.kept.channels == 1u ? params.source.channels : 1u;
    summed.width = params.kept.width == 1u ? params.source.width : 1u;
    summed.height = params.kept.height == 1u ? params.source.height : 1u;
    summed.images = params.kept.images == 1u ? params.source.images : 1u;
    ArrayPlace at = summed_place(i / params.results, summed);
    const ArrayPlace step = summed_place(params.parts, summed);
    LongSum sum;
    sum.begin();
    while (at.image < summed.images) {
        const uint pixel = array_pixel(first.image + at.image, first.y + at.y, first.x + at.x, params.source);
        const float value = load(source, pixel + first.channel + at.channel, params.run, 1);
        sum.add(params.squares != 0 ? value * value : value);
        at = advanced(at, step, summed);
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
