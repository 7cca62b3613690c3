// Softmax over the feature channels of each pixel.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

@interface MPSCNNSoftMax : MPSCNNKernel
@end

@interface MPSCNNLogSoftMax : MPSCNNKernel
@end

@interface MPSCNNSoftMaxGradient : MPSCNNGradientKernel
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end

@interface MPSCNNLogSoftMaxGradient : MPSCNNGradientKernel
- (instancetype)initWithDevice:(id<MTLDevice>)device;
@end
