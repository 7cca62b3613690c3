#include "core/half.h"

#include "core/error.h"

#include <algorithm>
#include <string>

namespace mpscnn {

namespace {

void check_lengths(std::size_t given, std::size_t room) {
    if (given != room)
        fail(ErrorKind::shape, "half conversion: " + std::to_string(given) +
                                   " values do not fit an array of " + std::to_string(room) +
                                   ", both need the same length");
}

} // namespace

void halves_from_floats(std::span<const float> floats, std::span<std::uint16_t> halves) {
    check_lengths(floats.size(), halves.size());
    std::transform(floats.begin(), floats.end(), halves.begin(), half_from_float);
}

void floats_from_halves(std::span<const std::uint16_t> halves, std::span<float> floats) {
    check_lengths(halves.size(), floats.size());
    std::transform(halves.begin(), halves.end(), floats.begin(), float_from_half);
}

} // namespace mpscnn
