#pragma once

// Vectors of four floats on every processor for which mpscnn has kernels, for loops that compilers do not
// vectorize. They are vector extensions of GCC and clang. A comparison gives a mask of -1 (true) and 0 for
// each lane.

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace mpscnn::vision {

using Float4 = float __attribute__((vector_size(16)));
using Mask4 = std::int32_t __attribute__((vector_size(16)));
using Bits4 = std::uint32_t __attribute__((vector_size(16)));

inline constexpr std::size_t lanes = 4;

inline constexpr std::size_t whole_vectors(std::size_t count) { return (count + lanes - 1) / lanes * lanes; }

inline Float4 splat(float x) { return Float4{x, x, x, x}; }

inline Float4 load(const float *p) {
    Float4 result;
    std::memcpy(&result, p, sizeof result);
    return result;
}

inline void store(float *p, Float4 x) { std::memcpy(p, &x, sizeof x); }

/// Load the first `count` lanes from memory and set the others to `fill`.
inline Float4 load_partial(const float *p, std::size_t count, float fill) {
    Float4 result = splat(fill);
    std::memcpy(&result, p, (count < lanes ? count : lanes) * sizeof(float));
    return result;
}

inline void store_partial(float *p, Float4 x, std::size_t count) {
    std::memcpy(p, &x, (count < lanes ? count : lanes) * sizeof(float));
}

/// Call `step(index, vector)` for all vectors of `count` floats. In the last vector, lanes after the end are
/// `fill`.
template <class Step> void for_vectors(const float *p, std::size_t count, float fill, Step step) {
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes) step(i, load(p + i));
    if (i < count) step(i, load_partial(p + i, count - i, fill));
}

/// Return the larger number of each lane; where `x` is NaN, return `other`.
inline Float4 maximum(Float4 x, Float4 other) { return x > other ? x : other; }
inline Float4 minimum(Float4 x, Float4 other) { return x < other ? x : other; }

inline Mask4 not_finite(Float4 x) {
    const Float4 zero_or_nan = x - x;  // NOLINT(misc-redundant-expression)
    return zero_or_nan != zero_or_nan; // NOLINT(misc-redundant-expression)
}

inline bool any(Mask4 mask) { return (mask[0] | mask[1] | mask[2] | mask[3]) != 0; }

inline float sum(Float4 x) { return (x[0] + x[2]) + (x[1] + x[3]); }

inline float largest(Float4 x) {
    const float a = x[0] > x[2] ? x[0] : x[2], b = x[1] > x[3] ? x[1] : x[3];
    return a > b ? a : b;
}

/// Return e^x, with an error of about 1 unit in the last place. x is clamped to -87 .. 88; NaN stays NaN.
inline Float4 exponential(Float4 x) {
    x = x < -87.0f ? splat(-87.0f) : x;
    x = x > 88.0f ? splat(88.0f) : x;
    // x = n ln 2 + r: adding 1.5 * 2^23 rounds to a whole number n and leaves it in the last bits. ln 2 is in
    // two parts, the first so short that n * part is exact.
    constexpr float shift = 12582912.0f;
    const Float4 shifted = x * 1.44269504f + shift;
    const Float4 n = shifted - shift;
    const Float4 r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    // e^r = 1 + r + r^2 q(r). q has degree 4 and minimizes the maximum relative error over |r| <= ln 2 / 2.
    Float4 q = splat(1.381459879e-3f);
    q = q * r + 8.368716575e-3f;
    q = q * r + 4.166838899e-2f;
    q = q * r + 1.666652113e-1f;
    q = q * r + 4.999999404e-1f;
    const Float4 p = (r * r) * q + r + 1.0f;
    Bits4 power;
    std::memcpy(&power, &shifted, sizeof power);
    power = (power << 23) + (127u << 23);
    Float4 factor;
    std::memcpy(&factor, &power, sizeof factor);
    return p * factor;
}

} // namespace mpscnn::vision
