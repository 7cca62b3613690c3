#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// What MPS makes a convolution from whose weights lie on the GPU: zeros, until the kernel is reported to
/// reload its weights. Classes have no namespace.
@interface MpscnnReloadedWeights : NSObject <MPSCNNConvolutionDataSource> {
@private
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    NSUInteger elements_;
    std::mutex mutex_; // MPS may load from a thread of its own
    int loads_;
    std::vector<float> zeros_;
}

/// `elements`: of the weights that the descriptor means.
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor elements:(NSUInteger)elements;

@end
