#pragma once

#include <memory>

#include "metal/layer.h"
#include "shaders/activation_params.h"

namespace mpscnn::metal {

/// A layer whose images all have the same extents, computed by the engine's own shader `operation`.
std::unique_ptr<Layer> make_elementwise(const char *operation, const ActivationParams &activation,
                                        const LayerSource &source, Device &device);

} // namespace mpscnn::metal
