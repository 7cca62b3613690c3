// bfloat16, the upper 16 bits of a float, with the rounding of processors: to nearest even. Numbers below
// 2^-126, the smallest normal one, count as zeros.
#pragma once

#include <bit>
#include <cstdint>

namespace mpscnn {

/// Return the bfloat16 nearest to `value`. A NaN stays a quiet NaN with its sign and the upper bits of its
/// payload.
constexpr std::uint16_t bfloat16_from_float(float value) noexcept {
    constexpr std::uint32_t infinity = 0x7f800000, smallest_normal = 0x00800000, quiet_bit = 0x0040;
    const auto bits = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t magnitude = bits & 0x7fffffff;
    if (magnitude > infinity) return static_cast<std::uint16_t>(bits >> 16 | quiet_bit);
    if (magnitude < smallest_normal) return static_cast<std::uint16_t>(bits >> 16 & 0x8000);
    const std::uint32_t odd = bits >> 16 & 1;
    return static_cast<std::uint16_t>((bits + 0x7fff + odd) >> 16);
}

/// Return the exact value as a float.
constexpr float float_from_bfloat16(std::uint16_t bits) noexcept {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

constexpr float round_to_bfloat16(float value) noexcept {
    return float_from_bfloat16(bfloat16_from_float(value));
}

} // namespace mpscnn
