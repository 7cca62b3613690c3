#pragma once

#include <string>
#include <vector>

#include "engine/backend/backend.h"
#include "engine/graph/weights.h"
#include "mpscnn/mpscnn.h"

namespace mpscnn::c_api {

/// Return the caller's mpscnn_dtype. Throws a ParameterError, beginning with `what`, for an unknown one.
DType dtype_of(std::int32_t dtype, const char *what);

/// Return the caller's extents as a shape. Throws a ShapeError, beginning with `what`, for an impossible
/// rank.
Shape shape_of(const std::int64_t *extents, int rank, const char *what);
Shape shape_of(const mpscnn_tensor &tensor, const char *what);

void give_shape(const Shape &shape, std::int64_t extents[MPSCNN_MAX_RANK], int *rank);

/// Return a view. Checks type, rank, alignment and extents; the engine checks whether the tensor fits the
/// network.
engine::TensorView view_of(const mpscnn_tensor &tensor, const char *what);

/// Return a copy of the caller's tensor.
engine::WeightTensor weight_of(const mpscnn_tensor &tensor, const std::string &what);

} // namespace mpscnn::c_api
