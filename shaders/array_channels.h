#pragma once

#include <metal_stdlib>

#include "array_access.h"
#include "array_channels_params.h"

using namespace metal;

// Sums for each channel over all pixels. A thread has one channel, or four adjacent ones, and some of the
// pixels. Threads with adjacent numbers read adjacent memory, and each thread has several reads in flight.
// A threadgroup adds the sums of its threads. `Lanes` is float or float4, and `Stored` is the type of as many
// numbers in memory.

/// Return the lanes that a thread's channels take: the number of components of `Lanes`.
template <typename Lanes> inline uint lanes_of() { return uint(sizeof(Lanes) / sizeof(float)); }

inline float as_floats(half x) { return float(x); }
inline float as_floats(float x) { return x; }
inline float4 as_floats(half4 x) { return float4(x); }
inline float4 as_floats(float4 x) { return x; }

/// Give `terms` each of the pixels first, first + step, and so on, in this order.
template <typename Terms>
inline void for_each_pixel(thread Terms &terms, uint first, uint step, uint pixels) {
    typename Terms::Values values[4];
    uint pixel = first;
    for (; pixel + 3u * step < pixels; pixel += 4u * step) {
#pragma unroll
        for (uint k = 0u; k < 4u; ++k) values[k] = terms.read(pixel + k * step);
#pragma unroll
        for (uint k = 0u; k < 4u; ++k) terms.add(values[k]);
    }
    for (; pixel < pixels; pixel += step) terms.add(terms.read(pixel));
}

/// The place of a thread. `columns` adjacent threads of a threadgroup have adjacent channels of the same
/// pixel.
struct ChannelPlace {
    uint quad;        ///< number of the thread's channel, or of its four channels
    uint part;        ///< number of the part of the sums that the threadgroup computes
    uint first, step; ///< the thread's pixels: first, first + step, and so on
    bool stores;      ///< true for the thread that stores the threadgroup's sum

    /// `quads` is the number of channels, or of sets of four channels.
    void begin(uint group, uint thread_index, uint quads, uint columns, uint parts) {
        const uint across = (quads + columns - 1u) / columns, rows = uint(channel_threads) / columns,
                   wanted = group % across * columns + thread_index % columns;
        // Threads without a channel read the last one, because they must reach the barriers.
        quad = min(wanted, quads - 1u);
        part = group / across;
        first = part * rows + thread_index / columns;
        step = parts * rows;
        stores = thread_index < columns && wanted < quads;
    }
};

inline float4 as_quad(float x) { return float4(x); }
inline float4 as_quad(float4 x) { return x; }

/// Add the sums of all threads that have the same channels. A thread has SUMS sums, which are SHARED[thread],
/// then SHARED[channel_threads + thread]. The threads that store get the results.
#define ADD_ROWS(SHARED, SUMS, thread_index, columns)                                                        \
    threadgroup_barrier(mem_flags::mem_threadgroup);                                                         \
    for (uint half_of = uint(channel_threads) / 2u; half_of >= columns; half_of /= 2u) {                     \
        if (thread_index < half_of)                                                                          \
            for (uint sum = 0u; sum < SUMS; ++sum) {                                                         \
                const uint to = sum * uint(channel_threads) + thread_index;                                  \
                SHARED[to] += SHARED[to + half_of];                                                          \
            }                                                                                                \
        threadgroup_barrier(mem_flags::mem_threadgroup);                                                     \
    }

/// Return the numbers of all lanes, beginning with number i, from an array of floats.
template <typename Lanes> inline Lanes floats_at(const device float *array, uint i) {
    return *reinterpret_cast<const device Lanes *>(array + i);
}

/// Store the sums of a thread's channels. The part's sums begin at element `first` of `result`.
inline void store_channels(device float *result, float4 sums, uint first, ChannelPlace at, uint lanes,
                           constant ArrayRun &run, uint number) {
    if (lanes == 4u)
        store_quad(result, sums, first + at.quad * 4u, run, number);
    else
        store(result, sums[0], first + at.quad, run, number);
}

// Read and write one number, or four adjacent ones beginning at a multiple of 4.
inline void load_lanes(thread float &to, const device float *array, uint i, constant ArrayRun &run,
                       uint number) {
    to = load(array, i, run, number);
}
inline void load_lanes(thread float4 &to, const device float *array, uint i, constant ArrayRun &run,
                       uint number) {
    to = load_quad(array, i, run, number);
}
inline void store_lanes(device float *array, float values, uint i, constant ArrayRun &run, uint number) {
    store(array, values, i, run, number);
}
inline void store_lanes(device float *array, float4 values, uint i, constant ArrayRun &run, uint number) {
    store_quad(array, values, i, run, number);
}
