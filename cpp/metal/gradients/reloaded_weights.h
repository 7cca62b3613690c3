#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/device/objc_ptr.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// Gives zeros to a kernel of MPS whose weights lie on the GPU. The kernel loads them before its first
/// encode; it must have done so before it is told to reload its weights from a buffer, or the zeros would
/// replace these. Classes have no namespace.
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
