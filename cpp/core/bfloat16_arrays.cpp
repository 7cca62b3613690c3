#include "core/bfloat16_arrays.h"

#include <bit>
#include <cstddef>

namespace mpscnn {

namespace {

constexpr std::int32_t infinity = 0x7f800000, magnitude_bits = 0x7fffffff, upper_half = -0x10000;

/// Return the bits of round_to_bfloat16(value), by selections instead of branches.
inline std::int32_t rounded_bits(float value) {
    constexpr std::int32_t smallest_normal = 0x00800000, quiet_bit = 0x00400000;
    const auto bits = std::bit_cast<std::int32_t>(value);
    const std::int32_t magnitude = bits & magnitude_bits, sign = bits & ~magnitude_bits;
    const std::int32_t odd = magnitude >> 16 & 1;
    // A finite magnitude stays below 2^31 when it is rounded.
    const std::int32_t nearest = magnitude < infinity ? magnitude + 0x7fff + odd : magnitude;
    const std::int32_t number = magnitude > infinity ? magnitude | quiet_bit : nearest;
    return sign | (magnitude < smallest_normal ? 0 : number & upper_half);
}

} // namespace

void bfloat16s_from_floats(std::span<const float> floats, std::span<std::uint16_t> bfloat16s) {
    for (std::size_t i = 0; i < floats.size(); ++i)
        bfloat16s[i] = static_cast<std::uint16_t>(static_cast<std::uint32_t>(rounded_bits(floats[i])) >> 16);
}

bool round_to_bfloat16s(std::span<float> floats) {
    std::int32_t found = 0;
    for (float &value : floats) {
        const std::int32_t bits = rounded_bits(value);
        found |= (bits & magnitude_bits) >= infinity;
        value = std::bit_cast<float>(bits);
    }
    return found != 0;
}

} // namespace mpscnn
