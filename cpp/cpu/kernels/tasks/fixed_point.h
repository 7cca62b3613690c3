#pragma once

// The fixed-point arithmetic of TensorFlow Lite's reference kernels, which is what gives int8 networks their
// bits. tests/cpp/fixed_point_test.cpp compares it with exact fractions. Each file that includes this has
// functions of its own, for its own instruction set.

#include <cstdint>

namespace mpscnn::cpu {
namespace {

#define MPSCNN_FIXED_POINT __attribute__((always_inline, unused)) inline

/// x * m / 2^31 to nearest, ties up. Not both the least integer.
MPSCNN_FIXED_POINT std::int32_t high_product(std::int32_t x, std::int32_t m) {
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m + (std::int64_t{1} << 30)) >> 31);
}

/// x / 2^bits to nearest, ties away from zero; bits 0 to 31.
MPSCNN_FIXED_POINT std::int32_t rounding_shift(std::int32_t x, std::int32_t bits) {
    const auto mask = static_cast<std::int32_t>((std::int64_t{1} << bits) - 1);
    const std::int32_t threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> bits) + ((x & mask) > threshold ? 1 : 0);
}

/// x * m * 2^(shift - 31), rounded twice; shift -31 to 30.
MPSCNN_FIXED_POINT std::int32_t rounded_twice(std::int32_t x, std::int32_t m, std::int32_t shift) {
    const std::int32_t left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    const auto larger = static_cast<std::int32_t>(static_cast<std::uint32_t>(x) << left);
    return rounding_shift(high_product(larger, m), right);
}

/// The same rounded once, ties up.
MPSCNN_FIXED_POINT std::int32_t rounded_once(std::int32_t x, std::int32_t m, std::int32_t shift) {
    const std::int32_t bits = 31 - shift;
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m + (std::int64_t{1} << (bits - 1))) >>
                                     bits);
}

MPSCNN_FIXED_POINT std::int32_t limited(std::int64_t x, std::int32_t low, std::int32_t high) {
    return x < low ? low : (x > high ? high : static_cast<std::int32_t>(x));
}

#undef MPSCNN_FIXED_POINT

} // namespace
} // namespace mpscnn::cpu
