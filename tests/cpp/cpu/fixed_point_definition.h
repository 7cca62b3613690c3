#pragma once

// TensorFlow Lite's fixed-point multiplication as its reference kernels define it: x * m * 2^(shift - 31),
// with shift from -31 to 30. It shares no code with the kernels. A left shift drops bits above 32.

#include <cstdint>

namespace definition {

/// SaturatingRoundingDoublingHighMul for factors that are not both the smallest integer.
inline std::int32_t high_product(std::int32_t a, std::int32_t b) {
    const std::int64_t product = static_cast<std::int64_t>(a) * b;
    const std::int64_t nudge = product >= 0 ? 1 << 30 : 1 - (1 << 30);
    return static_cast<std::int32_t>((product + nudge) / (std::int64_t{1} << 31));
}

/// RoundingDivideByPOT.
inline std::int32_t rounding_divide(std::int32_t x, int exponent) {
    const auto mask = static_cast<std::int32_t>((std::int64_t{1} << exponent) - 1);
    const std::int32_t remainder = x & mask, threshold = (mask >> 1) + (x < 0 ? 1 : 0);
    return (x >> exponent) + (remainder > threshold ? 1 : 0);
}

/// MultiplyByQuantizedMultiplier.
inline std::int32_t rounded_twice(std::int32_t x, std::int32_t m, int shift) {
    const int left = shift > 0 ? shift : 0, right = shift > 0 ? 0 : -shift;
    const auto larger = static_cast<std::int32_t>(static_cast<std::uint32_t>(x) << left);
    return rounding_divide(high_product(larger, m), right);
}

/// MultiplyByQuantizedMultiplier with TFLITE_SINGLE_ROUNDING.
inline std::int32_t rounded_once(std::int32_t x, std::int32_t m, int shift) {
    const int bits = 31 - shift;
    const std::int64_t round = std::int64_t{1} << (bits - 1);
    return static_cast<std::int32_t>((static_cast<std::int64_t>(x) * m + round) >> bits);
}

/// Return a layer's result: with its zero point, clamped.
inline std::int64_t result_of(std::int64_t rounded, std::int32_t zero_point, std::int32_t low,
                              std::int32_t high) {
    const std::int64_t moved = rounded + zero_point;
    return moved < low ? low : moved > high ? high : moved;
}

} // namespace definition
