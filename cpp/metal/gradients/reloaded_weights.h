#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// The data source of an MPS convolution whose weights are in GPU memory. It supplies zeros, and later the
/// kernel reloads its weights. Objective-C classes have no namespace.
@interface MpscnnReloadedWeights : NSObject <MPSCNNConvolutionDataSource> {
@private
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    NSUInteger elements_;
    std::mutex mutex_; // MPS may load on another thread
    int loads_;
    std::vector<float> zeros_;
}

/// `elements` is the number of weights.
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor elements:(NSUInteger)elements;

@end
