// Kernels with one source image, and gradient kernels, which have two.
#pragma once

#import <MetalPerformanceShaders/MPSNeuralNetworkTypes.h>

@interface MPSCNNKernel : MPSKernel {
@protected
    MPSOffset offset_;
    MPSImageEdgeMode edgeMode_;
    NSUInteger kernelWidth_;
    NSUInteger kernelHeight_;
    NSUInteger strideInPixelsX_;
    NSUInteger strideInPixelsY_;
    NSUInteger dilationRateX_;
    NSUInteger dilationRateY_;
}
@property(nonatomic) MPSOffset offset;
@property(nonatomic) MPSImageEdgeMode edgeMode;
@property(nonatomic, readonly) NSUInteger kernelWidth;
@property(nonatomic, readonly) NSUInteger kernelHeight;
@property(nonatomic, readonly) NSUInteger strideInPixelsX;
@property(nonatomic, readonly) NSUInteger strideInPixelsY;
@property(nonatomic, readonly) NSUInteger dilationRateX;
@property(nonatomic, readonly) NSUInteger dilationRateY;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                  sourceImage:(MPSImage *)sourceImage
             destinationImage:(MPSImage *)destinationImage;
- (MPSState *)resultStateForSourceImage:(MPSImage *)sourceImage
                           sourceStates:(NSArray<MPSState *> *)sourceStates
                       destinationImage:(MPSImage *)destinationImage;
- (MPSStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                     sourceStates:(NSArray<MPSStateBatch *> *)sourceStates
                                 destinationImage:(MPSImageBatch *)destinationImage;
- (BOOL)isResultStateReusedAcrossBatch;
@end

@interface MPSCNNBinaryKernel : MPSKernel {
@protected
    MPSOffset primaryOffset_;
    MPSOffset secondaryOffset_;
    MPSImageEdgeMode primaryEdgeMode_;
    MPSImageEdgeMode secondaryEdgeMode_;
    NSUInteger primaryStrideInPixelsX_;
    NSUInteger primaryStrideInPixelsY_;
    NSUInteger secondaryStrideInPixelsX_;
    NSUInteger secondaryStrideInPixelsY_;
}
@property(nonatomic) MPSOffset primaryOffset;
@property(nonatomic) MPSOffset secondaryOffset;
@property(nonatomic) MPSImageEdgeMode primaryEdgeMode;
@property(nonatomic) MPSImageEdgeMode secondaryEdgeMode;
@property(nonatomic) NSUInteger primaryStrideInPixelsX;
@property(nonatomic) NSUInteger primaryStrideInPixelsY;
@property(nonatomic) NSUInteger secondaryStrideInPixelsX;
@property(nonatomic) NSUInteger secondaryStrideInPixelsY;
@end

@interface MPSCNNGradientKernel : MPSCNNBinaryKernel {
@protected
    NSInteger kernelOffsetX_;
    NSInteger kernelOffsetY_;
}
@property(nonatomic) NSInteger kernelOffsetX;
@property(nonatomic) NSInteger kernelOffsetY;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
               sourceGradient:(MPSImage *)sourceGradient
                  sourceImage:(MPSImage *)sourceImage
                gradientState:(MPSState *)gradientState
          destinationGradient:(MPSImage *)destinationGradient;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                   sourceGradients:(MPSImageBatch *)sourceGradients
                      sourceImages:(MPSImageBatch *)sourceImages
                    gradientStates:(MPSStateBatch *)gradientStates
              destinationGradients:(MPSImageBatch *)destinationGradients;
@end
