// Kernels with one source image, kernels with two, and gradient kernels.
#pragma once

#import <MetalPerformanceShaders/MPSNeuralNetworkTypes.h>

@interface MPSCNNKernel : MPSKernel {
@protected
    MPSOffset offset_;
    MTLRegion clipRect_;
    NSUInteger destinationFeatureChannelOffset_;
    NSUInteger sourceFeatureChannelOffset_;
    NSUInteger sourceFeatureChannelMaxCount_;
    MPSImageEdgeMode edgeMode_;
    NSUInteger kernelWidth_;
    NSUInteger kernelHeight_;
    NSUInteger strideInPixelsX_;
    NSUInteger strideInPixelsY_;
    NSUInteger dilationRateX_;
    NSUInteger dilationRateY_;
    id<MPSNNPadding> padding_;
    id<MPSImageAllocator> destinationImageAllocator_;
}
@property(nonatomic) MPSOffset offset;
@property(nonatomic) MTLRegion clipRect;
@property(nonatomic) NSUInteger destinationFeatureChannelOffset;
@property(nonatomic) NSUInteger sourceFeatureChannelOffset;
@property(nonatomic) NSUInteger sourceFeatureChannelMaxCount;
@property(nonatomic) MPSImageEdgeMode edgeMode;
@property(nonatomic, readonly) NSUInteger kernelWidth;
@property(nonatomic, readonly) NSUInteger kernelHeight;
@property(nonatomic, readonly) NSUInteger strideInPixelsX;
@property(nonatomic, readonly) NSUInteger strideInPixelsY;
@property(nonatomic, readonly) NSUInteger dilationRateX;
@property(nonatomic, readonly) NSUInteger dilationRateY;
@property(nonatomic, readonly) BOOL isBackwards;
@property(nonatomic, retain) id<MPSNNPadding> padding;
@property(nonatomic, retain) id<MPSImageAllocator> destinationImageAllocator;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                  sourceImage:(MPSImage *)sourceImage
             destinationImage:(MPSImage *)destinationImage;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                      sourceImages:(MPSImageBatch *)sourceImages
                 destinationImages:(MPSImageBatch *)destinationImages;
- (MPSImage *)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer sourceImage:(MPSImage *)sourceImage;
- (MPSImageBatch *)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                 sourceImages:(MPSImageBatch *)sourceImages;
- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates;
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
    MTLRegion clipRect_;
    NSUInteger destinationFeatureChannelOffset_;
    NSUInteger primarySourceFeatureChannelOffset_;
    NSUInteger secondarySourceFeatureChannelOffset_;
    NSUInteger primarySourceFeatureChannelMaxCount_;
    NSUInteger secondarySourceFeatureChannelMaxCount_;
    MPSImageEdgeMode primaryEdgeMode_;
    MPSImageEdgeMode secondaryEdgeMode_;
    NSUInteger primaryKernelWidth_;
    NSUInteger primaryKernelHeight_;
    NSUInteger secondaryKernelWidth_;
    NSUInteger secondaryKernelHeight_;
    NSUInteger primaryStrideInPixelsX_;
    NSUInteger primaryStrideInPixelsY_;
    NSUInteger secondaryStrideInPixelsX_;
    NSUInteger secondaryStrideInPixelsY_;
    NSUInteger primaryDilationRateX_;
    NSUInteger primaryDilationRateY_;
    NSUInteger secondaryDilationRateX_;
    NSUInteger secondaryDilationRateY_;
    id<MPSNNPadding> padding_;
    id<MPSImageAllocator> destinationImageAllocator_;
}
@property(nonatomic) MPSOffset primaryOffset;
@property(nonatomic) MPSOffset secondaryOffset;
@property(nonatomic) MTLRegion clipRect;
@property(nonatomic) NSUInteger destinationFeatureChannelOffset;
@property(nonatomic) NSUInteger primarySourceFeatureChannelOffset;
@property(nonatomic) NSUInteger secondarySourceFeatureChannelOffset;
@property(nonatomic) NSUInteger primarySourceFeatureChannelMaxCount;
@property(nonatomic) NSUInteger secondarySourceFeatureChannelMaxCount;
@property(nonatomic) MPSImageEdgeMode primaryEdgeMode;
@property(nonatomic) MPSImageEdgeMode secondaryEdgeMode;
@property(nonatomic, readonly) NSUInteger primaryKernelWidth;
@property(nonatomic, readonly) NSUInteger primaryKernelHeight;
@property(nonatomic, readonly) NSUInteger secondaryKernelWidth;
@property(nonatomic, readonly) NSUInteger secondaryKernelHeight;
@property(nonatomic) NSUInteger primaryStrideInPixelsX;
@property(nonatomic) NSUInteger primaryStrideInPixelsY;
@property(nonatomic) NSUInteger secondaryStrideInPixelsX;
@property(nonatomic) NSUInteger secondaryStrideInPixelsY;
@property(nonatomic, readonly) NSUInteger primaryDilationRateX;
@property(nonatomic, readonly) NSUInteger primaryDilationRateY;
@property(nonatomic, readonly) NSUInteger secondaryDilationRateX;
@property(nonatomic, readonly) NSUInteger secondaryDilationRateY;
@property(nonatomic, readonly) BOOL isBackwards;
@property(nonatomic, retain) id<MPSNNPadding> padding;
@property(nonatomic, retain) id<MPSImageAllocator> destinationImageAllocator;
- (instancetype)initWithDevice:(id<MTLDevice>)device;
- (void)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                 primaryImage:(MPSImage *)primaryImage
               secondaryImage:(MPSImage *)secondaryImage
             destinationImage:(MPSImage *)destinationImage;
- (void)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                     primaryImages:(MPSImageBatch *)primaryImages
                   secondaryImages:(MPSImageBatch *)secondaryImages
                 destinationImages:(MPSImageBatch *)destinationImages;
- (MPSImage *)encodeToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                       primaryImage:(MPSImage *)primaryImage
                     secondaryImage:(MPSImage *)secondaryImage;
- (MPSImageBatch *)encodeBatchToCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                primaryImages:(MPSImageBatch *)primaryImage
                              secondaryImages:(MPSImageBatch *)secondaryImage;
- (MPSImageDescriptor *)destinationImageDescriptorForSourceImages:(NSArray<MPSImage *> *)sourceImages
                                                     sourceStates:(NSArray<MPSState *> *)sourceStates;
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
