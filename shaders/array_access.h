#pragma once

#include <metal_stdlib>

#include "array_params.h"

using namespace metal;

// Tensors of a network that is trained are arrays of floats or halves without gaps: a texture array has too
// few slices for a batch whose images depend on each other, and for weights. Sums are float.

inline bool holds_halves(constant ArrayRun &run, uint number) { return (run.halves >> number & 1u) != 0u; }

/// Element i of the array that is buffer `number`.
inline float load(const device float *array, uint i, constant ArrayRun &run, uint number) {
    return holds_halves(run, number) ? float(reinterpret_cast<const device half *>(array)[i]) : array[i];
}

inline void store(device float *array, float value, uint i, constant ArrayRun &run, uint number) {
    if (holds_halves(run, number))
        reinterpret_cast<device half *>(array)[i] = half(value);
    else
        array[i] = value;
}

struct ArrayPlace {
    uint image, y, x, channel;
};

/// Of element i.
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

/// Index of a pixel's first channel.
inline uint array_pixel(uint image, uint y, uint x, constant ArrayImage &extents) {
    return ((image * extents.height + y) * extents.width + x) * extents.channels;
}

/// Blocks of numbers, whose sums are added with what rounding took from the total (Kahan 1965).
struct LongSum {
    float total, lost, block;
    uint count;
    void begin() {
        total = lost = block = 0.0f;
        count = 0u;
    }
    void add(float x) {
        block += x;
        if (++count == 64u) settle();
    }
    void settle() {
        const float given = block - lost, sum = total + given;
        const float error = (sum - total) - given;
        lost = error == error ? error : 0.0f; // infinity less infinity
        total = sum;
        block = 0.0f;
        count = 0u;
    }
    float result() {
        settle();
        return total;
    }
};
