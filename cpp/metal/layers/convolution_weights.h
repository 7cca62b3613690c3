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

/// The data from which an MPS convolution is made.
struct ConvolutionWeights {
    engine::WeightTensor weight;
    std::vector<float> bias;
    std::string label;
    engine::Precision given = engine::Precision::float32; ///< type in which MPS gets the weights
    engine::Precision held = engine::Precision::float32;  ///< type in which MPS keeps them
    bool rotated = false;                                 ///< true: the kernel is rotated by 180 degrees
    std::vector<vector_float2> ranges; ///< one per output channel, if MPS gets the weights as 8-bit integers

    /// Take the weights of a layer.
    explicit ConvolutionWeights(const LayerSource &source);
    std::vector<float> values() const;
    /// Return the memory of the network's weights if their layout and type are those that MPS gets, otherwise
    /// null.
    const std::byte *in_place() const;
};

} // namespace mpscnn::metal

/// Supplies weights to MPS. If the network's memory has the right layout and type, MPS gets it directly.
/// Otherwise the weights are computed when MPS loads them, and freed when MPS has packed them. MPS may load
/// them again at any time, so the network's memory is kept. The prefix Mpscnn replaces a namespace, which
/// Objective-C classes do not have.
@interface MpscnnConvolutionWeights : NSObject <MPSCNNConvolutionDataSource> {
@protected
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    std::unique_ptr<mpscnn::metal::ConvolutionWeights> source_;
    std::mutex mutex_; // protects the members, because MPS may load on another thread
    int loads_;
    mpscnn::metal::DeviceWeights weights_;
}

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                           weights:(const mpscnn::metal::ConvolutionWeights &)weights;

@end

/// Supplies 8-bit integers with ranges, which MPS converts to numbers. This is a separate class, because MPS
/// checks whether an object has the method for ranges, which the class of other weights must not have.
@interface MpscnnByteWeights : MpscnnConvolutionWeights <MPSCNNConvolutionDataSource>
@end

namespace mpscnn::metal {

/// Return the data source for these weights.
objc_ptr<MpscnnConvolutionWeights *> data_source(MPSCNNConvolutionDescriptor *descriptor,
                                                 const ConvolutionWeights &weights);

} // namespace mpscnn::metal
