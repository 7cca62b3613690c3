#pragma once

#include <metal_stdlib>

#include "array_params.h"

using namespace metal;

// Access to the tensors of networks whose tensors are arrays of floats or halves without gaps, instead of
// images. Networks that are trained use arrays, because a texture array has too few slices for weights, and
// for a batch whose images depend on each other. Sums are always float.

inline bool holds_halves(constant ArrayRun &run, uint number) { return (run.halves >> number & 1u) != 0u; }

/// Return element i of the array in buffer `number`.
inline float load(const device float *array, uint i, constant ArrayRun &run, uint number) {
    return holds_halves(run, number) ? float(reinterpret_cast<const device half *>(array)[i]) : array[i];
}

inline void store(device float *array, float value, uint i, constant ArrayRun &run, uint number) {
    if (holds_halves(run, number))
        reinterpret_cast<device half *>(array)[i] = half(value);
    else
        array[i] = value;
}

/// Return four adjacent elements, beginning at element i, a multiple of 4.
inline float4 load_quad(const device float *array, uint i, constant ArrayRun &run, uint number) {
    return holds_halves(run, number) ? float4(reinterpret_cast<const device half4 *>(array)[i / 4u])
                                     : reinterpret_cast<const device float4 *>(array)[i / 4u];
}

// Read four adjacent elements like load_quad. The overload for half4 has no branch, because a branch before
// each load would make loads wait for each other.
inline void read_quad(thread half4 &to, const device float *array, uint i, constant ArrayRun &, uint) {
    to = reinterpret_cast<const device half4 *>(array)[i / 4u];
}
inline void read_quad(thread float4 &to, const device float *array, uint i, constant ArrayRun &run,
                      uint number) {
    to = load_quad(array, i, run, number);
}

inline void hold(thread half4 &to, float4 values) { to = half4(values); }
inline void hold(thread float4 &to, float4 values) { to = values; }

inline void store_quad(device float *array, float4 values, uint i, constant ArrayRun &run, uint number) {
    if (holds_halves(run, number))
        reinterpret_cast<device half4 *>(array)[i / 4u] = half4(values);
    else
        reinterpret_cast<device float4 *>(array)[i / 4u] = values;
}

struct ArrayPlace {
    uint image, y, x, channel;
};

/// Return the position of element i.
inline ArrayPlace array_place(uint i, constant ArrayImage &extents) {
    ArrayPlace place;
    place.channel = i % extents.channels;
    i /= extents.channels;
    place.x = i % extents.width;
    i /= extents.width;
    place.y = i % extents.height;
    place.image = i / extents.height;
    return place;
}

/// Return the index of a pixel's first channel.
inline uint array_pixel(uint image, uint y, uint x, constant ArrayImage &extents) {
    return ((image * extents.height + y) * extents.width + x) * extents.channels;
}

inline float zero_if_nan(float x) { return x == x ? x : 0.0f; }
inline float4 zero_if_nan(float4 x) { return select(float4(0.0f), x, x == x); }

/// Sums of many numbers, one for each component of `Lanes`. They are summed in blocks. Each block is added to
/// the total with compensation for the rounding error (Kahan 1965).
template <typename Lanes> struct LongSums {
    Lanes total, lost, block;
    uint count;
    void begin() {
        total = lost = block = Lanes(0.0f);
        count = 0u;
    }
    void add(Lanes x) {
        block += x;
        if (++count == 64u) settle();
    }
    void settle() {
        const Lanes given = block - lost, sum = total + given;
        // The error is NaN if the total is infinite: infinity - infinity.
        lost = zero_if_nan((sum - total) - given);
        total = sum;
        block = Lanes(0.0f);
        count = 0u;
    }
    Lanes result() {
        settle();
        return total;
    }
};

typedef LongSums<float> LongSum;
