#include "metal/gradients/reloaded_weights.h"

#include <exception>

@implementation MpscnnReloadedWeights

- (instancetype)initWithDescriptor:(MPSCNNConvolutionDescriptor *)descriptor elements:(NSUInteger)elements {
    self = [super init];
    if (!self) return nil;
    descriptor_ = mpscnn::metal::share(descriptor);
    elements_ = elements;
    biases_.assign([descriptor outputFeatureChannels], 0.0f);
    loads_ = 0;
    return self;
}

/// Return this object itself. It is immutable, so all copies of a kernel can share it.
- (id)copyWithZone:(NSZone *)zone {
    (void)zone;
    return [self retain];
}

- (MPSDataType)dataType {
    return MPSDataTypeFloat32;
}

/// Ask MPS to keep the weights as floats. By default it would keep them as halves.
- (MPSDataType)kernelWeightsDataType {
    return MPSDataTypeFloat32;
}

- (MPSCNNConvolutionDescriptor *)descriptor {
    return descriptor_.get();
}

- (void *)weights {
    return zeros_.data();
}

- (float *)biasTerms {
    return biases_.data();
}

- (BOOL)load {
    const std::lock_guard lock(mutex_);
    try {
        if (loads_ == 0) zeros_.assign(elements_, 0.0f);
        ++loads_;
        return YES;
    } catch (const std::exception &) { // MPS then fails to make the kernel; no exception may pass through it
        return NO;
    }
}

- (void)purge {
    const std::lock_guard lock(mutex_);
    if (loads_ > 0 && --loads_ == 0) std::vector<float>().swap(zeros_);
}

- (NSString *)label {
    return @"mpscnn gradient";
}

@end
