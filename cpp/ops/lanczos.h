#pragma once

// Lanczos' filter of an axis: which positions a sample adds up, and their weights. Both engines take them
// from here.

#include <cstdint>

namespace mpscnn::ops {

/// Sampling positions of one axis: output o reads input position (o + centre) * numerator / denominator +
/// offset. The quotient is formed last, so that whole positions are met exactly.
struct ResizeAxis {
    double numerator = 1.0, denominator = 1.0, centre = 0.0, offset = 0.0;
};

/// Positions side by side.
struct LanczosSpan {
    std::int64_t first = 0, count = 0;
};

/// The most positions of `size` that an output adds up.
std::int64_t lanczos_taps(const ResizeAxis &axis, std::int64_t size);

/// The positions within 0 .. size - 1 that an output adds up, and `count` weights: of input position i
/// L((i - position) / s), divided by the sum of all, with L(t) = sinc(t) sinc(t / 3) for |t| < 3 and s input
/// positions from one output to the next, at least 1. The weights of positions outside belong to the nearest
/// one inside, or to none where these read zeros. `weights` has room for lanczos_taps.
LanczosSpan lanczos_weights(const ResizeAxis &axis, std::int64_t size, bool zero_outside, std::int64_t output,
                            float *weights);

} // namespace mpscnn::ops
