#pragma once

#include "engine/backend/backend.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// Convolve signals on the GPU and wait for the result. Throws UnsupportedError for other types than float32,
/// and for arrays that are too large for 32-bit indices.
void convolve_signals(const std::shared_ptr<Device> &device, const ops::SignalConvolution &convolution,
                      const engine::TensorView &signal, const engine::TensorView &kernel,
                      const engine::TensorView &result);

} // namespace mpscnn::metal
