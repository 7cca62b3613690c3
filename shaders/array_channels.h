#pragma once

#include <metal_stdlib>

#include "array_access.h"

using namespace metal;

// Sums for each channel over all pixels. A thread has one channel, or four adjacent ones, and some of the
// pixels. Threads with adjacent numbers read adjacent memory, and each thread has several reads under way.
// `Lanes` is float or float4, and `Stored` is the type of as many numbers in memory.

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

/// Return the numbers of all lanes, beginning with number i, from an array of floats.
template <typename Lanes> inline Lanes floats_at(const device float *array, uint i) {
    return *reinterpret_cast<const device Lanes *>(array + i);
}
template <typename Lanes> inline void put_floats(device float *array, Lanes values, uint i) {
    *reinterpret_cast<device Lanes *>(array + i) = values;
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
