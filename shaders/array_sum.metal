// Sums over axes, and copies. Each sum is divided into parts, which separate threads compute; then
// threadgroups add the parts.

#include <metal_stdlib>

#include "array_access.h"
#include "array_channels.h"
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

/// Adds up the elements, or their squares, of the channels of a thread.
template <typename Stored, typename Lanes> struct ChannelTerms {
    typedef Lanes Values;
    const device Stored *source; ///< the thread's channels of the first pixel
    uint pitch;                  ///< stride from one pixel to the next, in units of `Stored`
    bool squares;
    LongSums<Lanes> sum;

    Lanes read(uint pixel) { return as_floats(source[pixel * pitch]); }
    void add(Lanes values) { sum.add(squares ? values * values : values); }
};

template <typename Stored, typename Lanes>
inline float4 channel_sums(const device float *source, ChannelPlace at,
                           constant ArrayChannelSumParams &params) {
    ChannelTerms<Stored, Lanes> terms;
    terms.pitch = params.channels / lanes_of<Lanes>();
    terms.source = reinterpret_cast<const device Stored *>(source) + at.quad;
    terms.squares = params.squares != 0;
    terms.sum.begin();
    for_each_pixel(terms, at.first, at.step, params.pixels);
    return as_quad(terms.sum.result());
}

/// Compute the parts of sums over all pixels.
[[max_total_threads_per_threadgroup(256)]] kernel void
array_channel_sums(constant ArrayChannelSumParams &params [[buffer(0)]],
                   const device float *source [[buffer(1)]], device float *result [[buffer(2)]],
                   threadgroup float *memory [[threadgroup(0)]], uint group [[threadgroup_position_in_grid]],
                   uint thread_index [[thread_index_in_threadgroup]]) {
    threadgroup float4 *shared = reinterpret_cast<threadgroup float4 *>(memory);
    const bool halves = holds_halves(params.run, 1u);
    ChannelPlace at;
    at.begin(group, thread_index, params.channels / params.lanes, params.columns, params.parts);
    if (params.lanes == 4u)
        shared[thread_index] = halves ? channel_sums<half4, float4>(source, at, params)
                                      : channel_sums<float4, float4>(source, at, params);
    else
        shared[thread_index] = halves ? channel_sums<half, float>(source, at, params)
                                      : channel_sums<float, float>(source, at, params);
    ADD_ROWS(shared, 1u, thread_index, params.columns)
    if (at.stores)
        store_channels(result, shared[thread_index] * params.factor, at.part * params.channels, at,
                       params.lanes, params.run, 2u);
}

/// Adds up the parts of one result.
struct PartTerms {
    typedef float Values;
    const device float *parts; ///< the first part
    uint pitch;                ///< stride from one part to the next
    LongSum sum;

    float read(uint part) { return parts[part * pitch]; }
    void add(float value) { sum.add(value); }
};

/// Add the parts of sums. A threadgroup has several results, and `rows` threads for each of them. Adjacent
/// threads have adjacent results.
[[max_total_threads_per_threadgroup(256)]] kernel void
array_sum_parts(constant ArrayPartsParams &params [[buffer(0)]], const device float *parts [[buffer(1)]],
                device float *result [[buffer(2)]], threadgroup float *shared [[threadgroup(0)]],
                uint group [[threadgroup_position_in_grid]],
                uint thread_index [[thread_index_in_threadgroup]]) {
    const uint lanes = uint(parts_threads) / params.rows, row = thread_index / lanes,
               number = group * lanes + thread_index % lanes;
    PartTerms terms;
    terms.pitch = params.results;
    terms.parts = parts + min(number, params.results - 1u);
    terms.sum.begin();
    for_each_pixel(terms, row, params.rows, params.parts);
    shared[thread_index] = terms.sum.result();
    threadgroup_barrier(mem_flags::mem_threadgroup);
    for (uint half_of = params.rows / 2u; half_of > 0u; half_of /= 2u) {
        if (row < half_of) shared[thread_index] += shared[thread_index + half_of * lanes];
        threadgroup_barrier(mem_flags::mem_threadgroup);
    }
    if (row == 0u && number < params.results)
        store(result, shared[thread_index] * params.factor, number, params.run, 2);
}

kernel void array_copy(constant ArrayRun &run [[buffer(0)]], const device float *source [[buffer(1)]],
                       device float *result [[buffer(2)]], uint i [[thread_position_in_grid]]) {
    if (i >= run.threads) return;
    store(result, load(source, i, run, 1), i, run, 2);
}
