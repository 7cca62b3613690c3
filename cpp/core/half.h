// IEEE 754 binary16 ("half"), stored as its 16 bits.
//
// The conversions of single numbers use integer arithmetic only. So they round to nearest even and keep
// subnormals in all rounding and flush-to-zero modes of the processor. They agree bit for bit with the F16C,
// AVX-512 and NEON instructions that convert arrays.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mpscnn {

namespace half_detail {

inline constexpr std::uint32_t float_infinity = 0x7f800000;
inline constexpr std::uint32_t float_quiet_bit = 0x00400000;
inline constexpr std::uint32_t half_infinity = 0x7c00;
inline constexpr std::uint32_t half_quiet_bit = 0x0200;
/// The bits of 2^-14 (the smallest normal half) as a float, and of 65520 (halfway between the largest half
/// and 2^16).
inline constexpr std::uint32_t smallest_normal_half = 0x38800000;
inline constexpr std::uint32_t overflow_threshold = 0x477ff000;
inline constexpr int dropped_mantissa_bits = 23 - 10;
/// The difference of the exponent biases of float and half (127 - 15), at the position of a float's exponent.
inline constexpr std::uint32_t rebias = (127u - 15u) << 23;

/// Return the bits of a half for a finite float below 2^-14, in units of the smallest subnormal, 2^-24.
constexpr std::uint32_t subnormal_half(std::uint32_t magnitude) noexcept {
    const std::uint32_t exponent = magnitude >> 23;
    // The float is significand * 2^(exponent - 150); anything below 2^-25 is nearer to zero than to 2^-24.
    const std::uint32_t shift = 126 - exponent;
    if (shift > 24) return 0;
    const std::uint32_t significand = (magnitude & 0x007fffff) | 0x00800000;
    const std::uint32_t quotient = significand >> shift;
    const std::uint32_t remainder = significand & ((1u << shift) - 1);
    const std::uint32_t halfway = 1u << (shift - 1);
    const bool round_up = remainder > halfway || (remainder == halfway && (quotient & 1) != 0);
    return quotient + (round_up ? 1 : 0);
}

constexpr std::uint32_t rounded_half(std::uint32_t magnitude) noexcept {
    if (magnitude >= overflow_threshold) return half_infinity;
    if (magnitude < smallest_normal_half) return subnormal_half(magnitude);
    const std::uint32_t odd = (magnitude >> dropped_mantissa_bits) & 1;
    return (magnitude - rebias + 0x0fff + odd) >> dropped_mantissa_bits;
}

} // namespace half_detail

/// Return the half nearest to `value`, ties to even; infinity from 65520 on. A NaN stays a quiet NaN with its
/// sign and the upper ten bits of its payload.
constexpr std::uint16_t half_from_float(float value) noexcept {
    using namespace half_detail;
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffff;
    const std::uint32_t sign = (bits >> 16) & 0x8000;
    const bool is_nan = magnitude > float_infinity;
    const std::uint32_t nan =
        half_infinity | half_quiet_bit | ((magnitude >> dropped_mantissa_bits) & 0x03ff);
    return static_cast<std::uint16_t>(sign | (is_nan ? nan : rounded_half(magnitude)));
}

/// Return the exact value as a float; a signalling NaN is made quiet.
constexpr float float_from_half(std::uint16_t half) noexcept {
    using namespace half_detail;
    const std::uint32_t sign = (half & 0x8000u) << 16;
    const std::uint32_t magnitude = half & 0x7fffu;
    std::uint32_t bits = 0;
    if (magnitude > half_infinity) {
        bits = float_infinity | float_quiet_bit | ((magnitude & 0x03ff) << dropped_mantissa_bits);
    } else if (magnitude == half_infinity) {
        bits = float_infinity;
    } else if (magnitude >= 0x0400) {
        bits = (magnitude << dropped_mantissa_bits) + rebias;
    } else if (magnitude != 0) {
        // A subnormal, magnitude * 2^-24: its leading one becomes the implicit bit of a normal float.
        const int leading_zeros = std::countl_zero(magnitude) - (32 - 11);
        const auto exponent = static_cast<std::uint32_t>(127 - 14 - leading_zeros);
        bits = (exponent << 23) | (((magnitude << leading_zeros) & 0x03ff) << dropped_mantissa_bits);
    }
    return std::bit_cast<float>(sign | bits);
}

/// Return the float nearest to `value` that is a half.
constexpr float round_to_half(float value) noexcept { return float_from_half(half_from_float(value)); }

/// Convert arrays with the fastest instructions of this processor. The results have the same bits as from
/// half_from_float and float_from_half. Both spans must have the same length (otherwise an Error of kind
/// shape) and must not overlap. Return the number of finite floats that became infinities.
std::size_t halves_from_floats(std::span<const float> floats, std::span<std::uint16_t> halves);
void floats_from_halves(std::span<const std::uint16_t> halves, std::span<float> floats);

} // namespace mpscnn
