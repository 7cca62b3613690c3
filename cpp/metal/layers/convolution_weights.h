#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"
#include "metal/layers/layer.h"
#include "metal/layers/weights.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

namespace mpscnn::metal {

/// What an MPS convolution is made from.
struct ConvolutionWeights {
    engine::WeightTensor weight;
    std::vector<float> bias;
    std::string label;
    engine::Precision given = engine::Precision::float32; ///< as which MPS gets the weights
    engine::Precision held = engine::Precision::float32;  ///< as which it keeps them
    bool rotated = false;                                 ///< by 180 degrees
    std::vector<vector_float2> ranges; ///< of each output channel, if MPS gets the weights as 8-bit integers

    /// Those of a layer, as its network holds them.
    explicit ConvolutionWeights(const LayerSource &source);
    std::vector<float> values() const;
    /// The network's own memory where that holds them as MPS gets them, else null.
    const std::byte *in_place() const;
};

} // namespace mpscnn::metal

/// Hands weights to MPS, the network's own where they lie as MPS wants them; others are made when MPS loads
/// them and freed when it has packed its own. It may load them again at any time, so that the network's
/// memory, shared and not copied, stays. Classes have no namespace.
@interface MpscnnConvolutionWeights : NSObject <MPSCNNConvolutionDataSource> {
@protected
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    std::unique_ptr<mpscnn::metal::ConvolutionWeights> source_;
    std::mutex mutex_; // MPS may load from a thread of its own
    int loads_;
    mpscnn::metal::DeviceWeights weights_;
}

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                           weights:(const mpscnn::metal::ConvolutionWeights &)weights;

@end

/// The same for 8-bit integers with ranges, which MPS makes numbers of. A class of its own, so that MPS finds
/// no ranges where there are none.
@interface MpscnnByteWeights : MpscnnConvolutionWeights <MPSCNNConvolutionDataSource>
@end

namespace mpscnn::metal {

/// The data source for them.
objc_ptr<MpscnnConvolutionWeights *> data_source(MPSCNNConvolutionDescriptor *descriptor,
                                                 const ConvolutionWeights &weights);

} // namespace mpscnn::metal
