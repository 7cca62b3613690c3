#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "metal/objc_ptr.h"
#include "metal/weights.h"

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

/// Hands a layer's weights to MPS. They are made when MPS loads them and freed when it has packed its own
/// copy: the program's graph shares the memory that they are made from. Classes have no namespace.
@interface MpscnnConvolutionWeights : NSObject <MPSCNNConvolutionDataSource> {
@private
    mpscnn::metal::objc_ptr<MPSCNNConvolutionDescriptor *> descriptor_;
    mpscnn::engine::WeightTensor given_;
    std::vector<float> bias_;
    mpscnn::engine::Precision precision_;
    std::string label_;
    std::mutex mutex_; // MPS may load from a thread of its own
    int loads_;
    mpscnn::metal::DeviceWeights weights_;
}

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                              node:(const mpscnn::engine::Node &)node
                         precision:(mpscnn::engine::Precision)precision;

@end
