#pragma once

#include "cpu/tasks/convolution.h"

namespace mpscnn::cpu {

/// Convolutions of which each reads the result of the one before it, and nothing else does. What lies between
/// them has no place in the arena: a work item computes a band of rows of the last one's result and, in the
/// worker's scratch memory, the rows of all others that this needs.
///
/// A stage is a ConvolutionTask of which source and destination have extents only. The first is any dense
/// convolution, pointwise or depthwise, the others are pointwise or depthwise.
struct ChainTask {
    static constexpr std::int64_t most_stages = 8;

    ConstView source;
    View destination;
    const ConvolutionTask *stages = nullptr;
    std::int64_t count = 0;
    bool has_residual[most_stages] = {}; ///< by stage
    ConstView residuals[most_stages];
    std::int64_t band_rows = 0; ///< of the result, computed at once; 0: all of an image
    /// Outputs of a convolution that the depthwise one behind it takes over while they are in the
    /// first-level cache, before the convolution goes on to the next of its channels; 0: all.
    std::int64_t panel_channels = 0;

    const char *kernel_name() const { return "chain"; }
};

} // namespace mpscnn::cpu
