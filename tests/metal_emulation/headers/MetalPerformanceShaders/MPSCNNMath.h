// Arithmetic of two images.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

@interface MPSCNNArithmetic : MPSCNNBinaryKernel {
@protected
    float primaryScale_;
    float secondaryScale_;
    float bias_;
    NSUInteger primaryStrideInFeatureChannels_;
    NSUInteger secondaryStrideInFeatureChannels_;
    float minimumValue_;
    float maximumValue_;
}
@property(nonatomic) float primaryScale;
@property(nonatomic) float secondaryScale;
@property(nonatomic) float bias;
@property(nonatomic) NSUInteger primaryStrideInFeatureChannels;
@property(nonatomic) NSUInteger secondaryStrideInFeatureChannels;
@property(nonatomic) float minimumValue;
@property(nonatomic) float maximumValue;
@end

@interface MPSCNNAdd : MPSCNNArithmetic
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end

@interface MPSCNNSubtract : MPSCNNArithmetic
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end

@interface MPSCNNMultiply : MPSCNNArithmetic
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end

@interface MPSCNNDivide : MPSCNNArithmetic
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end
