#pragma once

// Finds offsets for the sums of a layer. With such an offset, a requantization needs only one rounding to
// nearest.
//
// TensorFlow Lite multiplies a sum x by m and rounds the product twice: to its upper 32 bits, and after a
// shift. So the result is floor((x * m + a) / 2^n) with a constant a. An FMA of doubles only rounds to
// nearest, and cannot add a constant with that many bits. But an integer b that is added to x adds b * m to
// the product, and b can be chosen so that b * m is near any number modulo 2^n. Near is enough, because
// results are bytes: they are right for all sums if they are right next to the at most 255 borders between
// two results.

#include <cstdint>
#include <optional>

#include "cpu/kernels/tasks/integer.h"

namespace mpscnn::cpu {

/// The constants with which one FMA of doubles requantizes an output. `sums` is added to each sum first. Then
/// (2^52 + sum) * factor + added, rounded to nearest, is 2^52 + 2^51 plus the result before the clamp.
struct RoundingOffset {
    std::uint32_t sums;
    double factor, added;
};

/// Sums must be at least -sum_limit and less than sum_limit, so that none overflows with an offset.
constexpr std::int64_t sum_limit = std::int64_t{1} << 30;

/// Return an offset for an output of factor m * 2^(shift - 31) with the limits and roundings of `to`, or
/// nothing if none is found.
std::optional<RoundingOffset> rounding_offset(const Requantization &to, std::int32_t m, std::int32_t shift);

/// The same constants for one FMA of floats. `sums` is added to each sum first, which gives the bits of a
/// float from 2^23 to 2^24. That float times `factor` plus `added`, rounded to nearest, has the result before
/// the clamp in its lower 16 bits. With ties below the zero point, sums with an offset below `split` get
/// `more_below` as well, and `added_below` instead of `added`.
struct FloatOffset {
    std::uint32_t sums;
    float factor, added;
    std::int32_t split = 0, more_below = 0;
    float added_below = 0.0f;
};

/// Return an offset for sums from `least` to `most`, or nothing if none is found. A float has fewer bits than
/// the factor m, so small factors may have none. The sums, or those on each side of 0 if there are ties below
/// the zero point, must be within 2^23 of each other.
std::optional<FloatOffset> float_offset(const Requantization &to, std::int32_t m, std::int32_t shift,
                                        std::int64_t least, std::int64_t most);

} // namespace mpscnn::cpu
