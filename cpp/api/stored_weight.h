#pragma once

#include <string>

#include "engine/graph/weights.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// A copy of a weight of the caller's with its quantization, which uint8 weights and no others have.
engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const float *scales, const float *zero_points,
                               std::int64_t quantization_count, const std::string &what);

/// The weight's own memory.
mpscnn_tensor tensor_of(const engine::WeightTensor &weight);

} // namespace mpscnn::c_api
