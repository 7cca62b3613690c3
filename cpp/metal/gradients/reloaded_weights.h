#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// A data source of zeros for an MPS kernel whose weights are on the GPU. The kernel must load the zeros
/// before a command buffer reloads its weights. Otherwise MPS would load them at the first encode and
/// overwrite the weights. The prefix Mpscnn replaces a namespace, which Objective-C classes do not have.
@interface MpscnnReloadedWeights : NSObject <MPSCNNConvolutionDataSource> {
@private
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    NSUInteger elements_;
    std::mutex mutex_; // protects the members, because MPS may load on another thread
    int loads_;
    std::vector<float> zeros_;
    std::vector<float> biases_; // zeros, so that MPS has memory for biases, which a reload may replace
}

/// Make a data source. `elements` is the number of weights.
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor elements:(NSUInteger)elements;

@end
