// Enlarging by whole factors.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

@interface MPSCNNUpsampling : MPSCNNKernel {
@protected
    NSUInteger factorX_;
    NSUInteger factorY_;
}
@property(nonatomic, readonly) double scaleFactorX;
@property(nonatomic, readonly) double scaleFactorY;
@end

@interface MPSCNNUpsamplingNearest : MPSCNNUpsampling
- (instancetype)initWithDevice:(id<MTLDevice>)device
           integerScaleFactorX:(NSUInteger)integerScaleFactorX
           integerScaleFactorY:(NSUInteger)integerScaleFactorY;
@end

@interface MPSCNNUpsamplingGradient : MPSCNNGradientKernel {
@protected
    NSUInteger factorX_;
    NSUInteger factorY_;
}
@property(nonatomic, readonly) double scaleFactorX;
@property(nonatomic, readonly) double scaleFactorY;
@end

@interface MPSCNNUpsamplingNearestGradient : MPSCNNUpsamplingGradient
- (instancetype)initWithDevice:(id<MTLDevice>)device
           integerScaleFactorX:(NSUInteger)integerScaleFactorX
           integerScaleFactorY:(NSUInteger)integerScaleFactorY;
@end
