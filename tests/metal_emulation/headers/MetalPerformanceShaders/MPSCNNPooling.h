// Maximum, mean and Euclidean norm over a window.
#pragma once

#import <MetalPerformanceShaders/MPSCNNKernel.h>

@interface MPSCNNPooling : MPSCNNKernel
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY;
@end

@interface MPSCNNPoolingMax : MPSCNNPooling
@end

@interface MPSCNNPoolingAverage : MPSCNNPooling {
@protected
    NSUInteger zeroPadSizeX_;
    NSUInteger zeroPadSizeY_;
}
@property(nonatomic) NSUInteger zeroPadSizeX;
@property(nonatomic) NSUInteger zeroPadSizeY;
@end

@interface MPSCNNPoolingL2Norm : MPSCNNPooling
@end

@interface MPSCNNPoolingGradient : MPSCNNGradientKernel {
@protected
    NSUInteger kernelWidth_;
    NSUInteger kernelHeight_;
    MTLSize sourceSize_;
}
@property(nonatomic) MTLSize sourceSize;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY;
@end

@interface MPSCNNPoolingAverageGradient : MPSCNNPoolingGradient {
@protected
    NSUInteger zeroPadSizeX_;
    NSUInteger zeroPadSizeY_;
}
@property(nonatomic) NSUInteger zeroPadSizeX;
@property(nonatomic) NSUInteger zeroPadSizeY;
- (instancetype)initWithDevice:(id<MTLDevice>)device
                   kernelWidth:(NSUInteger)kernelWidth
                  kernelHeight:(NSUInteger)kernelHeight
               strideInPixelsX:(NSUInteger)strideInPixelsX
               strideInPixelsY:(NSUInteger)strideInPixelsY;
@end
