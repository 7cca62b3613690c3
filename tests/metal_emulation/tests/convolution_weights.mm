#import "convolution_weights.h"

#include <utility>

@implementation TestWeights

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                           weights:(std::vector<float>)weights
                              bias:(std::vector<float>)bias {
    self = [super init];
    descriptor_ = [descriptor retain];
    weights_ = std::move(weights);
    bias_ = std::move(bias);
    type_ = MPSDataTypeFloat32;
    kernelType_ = MPSDataTypeFloat16;
    quantization_ = MPSCNNWeightsQuantizationTypeNone;
    return self;
}

- (void)dealloc {
    [descriptor_ release];
    [super dealloc];
}

- (id)copyWithZone:(NSZone *)zone {
    (void)zone;
    return [self retain];
}

- (MPSDataType)dataType {
    return type_;
}
- (MPSCNNConvolutionDescriptor *)descriptor {
    return descriptor_;
}
- (void *)weights {
    if (!integers_.empty()) return integers_.data();
    return weights_.data();
}
- (vector_float2 *)rangesForUInt8Kernel {
    return ranges_.empty() ? nullptr : ranges_.data();
}
- (MPSCNNWeightsQuantizationType)weightsQuantizationType {
    return quantization_;
}
- (float *)biasTerms {
    return bias_.empty() ? nullptr : bias_.data();
}
- (BOOL)load {
    ++loads_;
    return !refuses_;
}
- (void)purge {
    ++purges_;
}
- (NSString *)label {
    return hasNoLabel_ ? nil : @"weights of a test";
}
- (MPSDataType)kernelWeightsDataType {
    return kernelType_;
}
@end
