#pragma once

#include "cpu/isa/kernels.h"
#include "engine/backend/backend.h"
#include "ops/signal.h"

namespace mpscnn::cpu {

/// Convolve or correlate a signal with a kernel. Implements Backend::convolve.
void convolve_signals(const KernelTable &kernels, const ops::SignalConvolution &convolution,
                      const engine::TensorView &signal, const engine::TensorView &kernel,
                      const engine::TensorView &result);

} // namespace mpscnn::cpu
