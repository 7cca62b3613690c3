#pragma once

// Offsets of all outputs of an int8 layer (see rounding_offset.h). Each function changes the layer only if
// every output has an offset.

#include <cstdint>
#include <span>

#include "cpu/plan/integer_layer.h"

namespace mpscnn::cpu {

/// Set Requantization::floats, add the offsets to the biases, and return true. The sums of an output, with
/// its bias, are from `least` to `most`.
bool set_floats(IntegerLayer &layer, std::span<const std::int64_t> least, std::span<const std::int64_t> most);

/// Set Requantization::factors, and add the offsets to the biases.
void set_factors(IntegerLayer &layer);

} // namespace mpscnn::cpu
