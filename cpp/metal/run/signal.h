#pragma once

#include "engine/run/backend.h"
#include "metal/device/device.h"

namespace mpscnn::metal {

/// Waits for the result. Throws UnsupportedError for float64, and for arrays that a shader cannot count
/// through.
void convolve_signals(const std::shared_ptr<Device> &device, const ops::SignalConvolution &convolution,
                      const engine::TensorView &signal, const engine::TensorView &kernel,
                      const engine::TensorView &result);

} // namespace mpscnn::metal
