#pragma once

// Loops over many weights. They are in a separate file that is compiled with vectorization
// (cmake/MpscnnCompiler.cmake).

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/graph/weights.h"

namespace mpscnn::engine {

/// True if a value is NaN or infinite.
bool any_not_finite(std::span<const float> values);
bool any_not_finite(std::span<const std::uint16_t> halves);
/// Multiply each value by `factor` in double precision, and round once.
void scale(std::span<float> values, double factor);
/// Set target[i] to (stored[i] - zero_point) * scale.
void dequantize(const std::byte *stored, float scale, float zero_point, std::span<float> target);
/// Set target[i] to the half nearest to stored[i] / 255 * (high - low) + low. Each of the three operations
/// rounds to a float.
void dequantize_range(const std::byte *stored, float low, float high, std::span<float> target);
/// Return the lowest and the highest value. There must be at least one value, and none may be NaN.
WeightRange range_of(std::span<const float> values);
/// Store values as integers from 0 to 255. 0 stands for `low`, and 255 for `high`. A value becomes the
/// nearest integer; ties round up.
void quantize_range(std::span<const float> values, float low, float high, std::byte *stored);

} // namespace mpscnn::engine
