// A data source of weights for tests, written as in an application.
#pragma once

#import <MetalPerformanceShaders/MetalPerformanceShaders.h>

#include <cstdint>
#include <vector>

@interface TestWeights : NSObject <MPSCNNConvolutionDataSource> {
@public
    MPSCNNConvolutionDescriptor *descriptor_;
    std::vector<float> weights_;
    std::vector<float> bias_;
    int loads_;
    int purges_;
    BOOL refuses_;
    MPSDataType type_;
    MPSDataType kernelType_;
    std::vector<std::uint8_t> integers_; // used instead of weights_ if not empty
    std::vector<vector_float2> ranges_;
    MPSCNNWeightsQuantizationType quantization_;
    BOOL hasNoLabel_;
}
- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                           weights:(std::vector<float>)weights
                              bias:(std::vector<float>)bias;
@end
