#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// A data source of zeros for a kernel of MPS whose weights are on the GPU. The kernel must load the zeros
/// before a command buffer reloads its weights. Otherwise MPS would load them at the first encode and replace
/// the weights. Objective-C classes have no namespace.
@interface MpscnnReloadedWeights : NSObject <MPSCNNConvolutionDataSource> {
@private
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    NSUInteger elements_;
    std::mutex mutex_; // MPS may load on another thread
    int loads_;
    std::vector<float> zeros_;
    std::vector<float> biases_; // also zeros: MPS then holds biases, which a reload may replace
}

/// `elements` is the number of weights.
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor elements:(NSUInteger)elements;

@end
