// Rounding of whole arrays to bfloat16, in loops that compilers vectorize.
#pragma once

#include <cstdint>
#include <span>

namespace mpscnn {

/// Convert an array with the bits of bfloat16_from_float. Both spans must have the same length and must not
/// overlap.
void bfloat16s_from_floats(std::span<const float> floats, std::span<std::uint16_t> bfloat16s);

/// Round each number to the nearest bfloat16, like round_to_bfloat16. Return true if any result is infinite
/// or NaN.
bool round_to_bfloat16s(std::span<float> floats);

} // namespace mpscnn
