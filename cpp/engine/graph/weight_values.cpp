#include "engine/graph/weight_values.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "core/half.h"

namespace mpscnn::engine {

// These functions compare floats as integers, because compilers vectorize that.

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

void dequantize_range(const std::byte *stored, float low, float high, std::span<float> target) {
    const float extent = high - low;
    for (float &value : target) value = static_cast<float>(*stored++) / 255.0f * extent + low;
    std::array<std::uint16_t, 2048> halves;
    for (std::size_t done = 0; done < target.size(); done += halves.size()) {
        const std::span block = target.subspan(done, std::min(halves.size(), target.size() - done));
        halves_from_floats(block, {halves.data(), block.size()});
        floats_from_halves({halves.data(), block.size()}, block);
    }
}

WeightRange range_of(std::span<const float> values) {
    // Bits of negative floats are inverted, so that the integers have the order of the floats.
    const auto ordered = [](std::int32_t bits) { return bits ^ (bits >> 31 & 0x7fffffff); };
    std::int32_t lowest = std::numeric_limits<std::int32_t>::max(), highest = -lowest - 1;
    for (const float value : values) {
        const std::int32_t place = ordered(std::bit_cast<std::int32_t>(value));
        lowest = place < lowest ? place : lowest;
        highest = place > highest ? place : highest;
    }
    return {std::bit_cast<float>(ordered(lowest)), std::bit_cast<float>(ordered(highest))};
}

void quantize_range(std::span<const float> values, float low, float high, std::byte *stored) {
    const double extent = static_cast<double>(high) - low;
    const double steps = extent > 0 ? 255 / extent : 0;
    for (const float value : values) {
        const double nearest = std::floor((static_cast<double>(value) - low) * steps + 0.5);
        *stored++ = static_cast<std::byte>(static_cast<std::int32_t>(nearest));
    }
}

} // namespace mpscnn::engine
