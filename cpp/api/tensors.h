#pragma once

#include <string>
#include <vector>

#include "engine/graph/weights.h"
#include "engine/run/backend.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// Rank and extents as the caller gave them; throws a ShapeError, beginning with `what`, for an impossible
/// rank.
Shape shape_of(const std::int64_t *extents, int rank, const char *what);
Shape shape_of(const mpscnn_tensor &tensor, const char *what);

void give_shape(const Shape &shape, std::int64_t extents[MPSCNN_MAX_RANK], int *rank);

/// Checks type, rank, alignment and extents. The engine checks whether the tensor fits the network.
engine::TensorView view_of(const mpscnn_tensor &tensor, const char *what);

/// A copy of a tensor of the caller's.
engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const std::string &what);

} // namespace mpscnn::c_api
