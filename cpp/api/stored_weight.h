#pragma once

#include <string>

#include "engine/graph/weights.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// Return a copy of the caller's weight with its quantization, which uint8 and int32 weights must have and
/// others must not.
engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const float *scales, const float *zero_points,
                               std::int64_t quantization_count, const std::string &what);

/// Return a tensor that uses the weight's memory.
mpscnn_tensor tensor_of(const engine::WeightTensor &weight);

} // namespace mpscnn::c_api
