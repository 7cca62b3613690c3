#pragma once

#include "engine/backend/backend.h"

namespace mpscnn::engine {

/// Copy all elements of a tensor to another one. Both have the same shape and type, and any strides; they
/// must not overlap.
void copy_elements(const TensorView &from, const TensorView &to);

} // namespace mpscnn::engine
