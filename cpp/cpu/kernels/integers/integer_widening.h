#pragma once

// Converts bytes to the 16-bit integers that integer_pairs.h multiplies.

#include <cstdint>

#include "cpu/isa/kernel_math.h"

namespace mpscnn::cpu {
namespace {

/// The number of bytes that are converted to 16-bit integers at a time.
constexpr std::int64_t widened = 16;

/// Convert `count` bytes to 16-bit integers and subtract the zero point. Up to `widened` - 1 more bytes may
/// be read and more integers written, but no bytes from `end` on are read.
MPSCNN_INLINE void widen(const std::uint8_t *bytes, std::int64_t count, std::int16_t zero,
                         const std::uint8_t *end, std::int16_t *to) {
    std::int64_t k = 0;
    for (; k < count && end - bytes - k >= widened; k += widened) {
        std::uint8_t own[widened]; // a local copy cannot alias with the result
        __builtin_memcpy(own, bytes + k, widened);
        for (std::int64_t i = 0; i < widened; ++i) to[k + i] = static_cast<std::int16_t>(own[i] - zero);
    }
    for (; k < count; ++k) to[k] = static_cast<std::int16_t>(bytes[k] - zero);
}

} // namespace
} // namespace mpscnn::cpu
