#include "engine/weight_values.h"

#include <bit>

#include "core/half.h"

namespace mpscnn::engine {

// In whole numbers, of which compilers compare several at once.

bool any_not_finite(std::span<const float> values) {
    constexpr std::int32_t magnitude = 0x7fffffff, infinity = 0x7f800000;
    std::int32_t found = 0;
    for (const float value : values) found |= (std::bit_cast<std::int32_t>(value) & magnitude) >= infinity;
    return found != 0;
}

bool any_not_finite(std::span<const std::uint16_t> halves) {
    std::uint16_t found = 0;
    for (const std::uint16_t half : halves) found |= (half & 0x7fff) >= half_detail::half_infinity;
    return found != 0;
}

void scale(std::span<float> values, double factor) {
    for (float &value : values) value = static_cast<float>(value * factor);
}

void dequantize(const std::byte *stored, float scale, float zero_point, std::span<float> target) {
    for (float &value : target) value = (static_cast<float>(*stored++) - zero_point) * scale;
}

} // namespace mpscnn::engine
