#pragma once

#include <metal_stdlib>

#include "array_params.h"

using namespace metal;

// Tensors of a network that is trained are arrays of floats or halves without gaps. A texture array has too
// few slices for weights, and for a batch whose images depend on each other. Sums are float.

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

/// Sums numbers in blocks. The blocks are added to the total with its rounding error (Kahan 1965).
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
        lost = error == error ? error : 0.0f; // infinity minus infinity
        total = sum;
        block = 0.0f;
        count = 0u;
    }
    float result() {
        settle();
        return total;
    }
};
