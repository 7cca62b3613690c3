#include "metal/convolution_weights.h"

#include <exception>

#include "metal/text.h"

using mpscnn::engine::Precision;
using mpscnn::metal::DeviceWeights;

@implementation MpscnnConvolutionWeights

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor
                              node:(const mpscnn::engine::Node &)node
                         precision:(Precision)precision {
    self = [super init];
    if (!self) return nil;
    descriptor_ = mpscnn::metal::share(descriptor);
    given_ = node.weights.at("weight");
    bias_ = node.weight_or("bias", static_cast<std::size_t>([descriptor outputFeatureChannels]), 0.0f);
    precision_ = precision;
    label_ = node.name;
    loads_ = 0;
    return self;
}

/// Weights never change, so that one object serves all copies of a kernel.
- (id)copyWithZone:(NSZone *)zone {
    (void)zone;
    return [self retain];
}

- (MPSDataType)dataType {
    return precision_ == Precision::float16 ? MPSDataTypeFloat16 : MPSDataTypeFloat32;
}

/// Without this MPS would hold float32 weights as halves.
- (MPSDataType)kernelWeightsDataType {
    return [self dataType];
}

- (MPSCNNConvolutionDescriptor *)descriptor {
    return descriptor_.get();
}

- (void *)weights {
    return weights_.data();
}

- (float *)biasTerms {
    return bias_.data();
}

- (BOOL)load {
    const std::lock_guard lock(mutex_);
    try {
        if (loads_ == 0) weights_ = DeviceWeights(given_.values(), precision_);
        ++loads_;
        return YES;
    } catch (const std::exception &) { // MPS fails to make the kernel then; exceptions must not reach it
        return NO;
    }
}

- (void)purge {
    const std::lock_guard lock(mutex_);
    if (--loads_ == 0) weights_ = DeviceWeights();
}

- (NSString *)label {
    return mpscnn::metal::string_of(label_);
}

@end
