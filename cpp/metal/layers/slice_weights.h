#pragma once

#include <cstdint>
#include <vector>

#include "metal/layers/layer.h"

namespace mpscnn::metal {

/// What the engine's own shaders read of a convolution, for the four output channels of each slice.
struct SliceWeights {
    objc_ptr<id<MTLBuffer>> weights; ///< [slice][product][lane], in the network's precision
    objc_ptr<id<MTLBuffer>> terms;   ///< biases, behind them the slopes of a PReLU

    /// `values` are [output channel][product]. Throws WeightsError for one that does not fit the precision.
    SliceWeights(const std::vector<float> &values, std::int64_t outputs, const LayerSource &source,
                 Device &device);
};

} // namespace mpscnn::metal
