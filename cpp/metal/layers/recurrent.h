#pragma once

#include <cstddef>

#include "ops/recurrent.h"
#include "shaders/array_recurrent_params.h"

namespace mpscnn::metal {

/// Return the shader's parameters for sums of this shape, with weights [outputs][inputs] and without halves.
ArrayRecurrentParams recurrent_params(const ops::Lstm &lstm, const Shape &sums);
ArrayRecurrentParams recurrent_params(const ops::Gru &gru, const Shape &sums);

/// Return the bytes of threadgroup memory that the shader needs.
inline std::size_t recurrent_bytes(const ArrayRecurrentParams &params) {
    return recurrent_arrays * std::size_t{params.units} * sizeof(float);
}

} // namespace mpscnn::metal
