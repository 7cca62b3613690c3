// Convolution and its weights.
#pragma once

#import <MetalPerformanceShaders/MPSCNNNeuron.h>

typedef NS_ENUM(uint32_t, MPSCNNWeightsQuantizationType) {
    MPSCNNWeightsQuantizationTypeNone = 0,
    MPSCNNWeightsQuantizationTypeLinear = 1,
};

@interface MPSCNNConvolutionDescriptor : NSObject <NSCopying> {
@protected
    NSUInteger kernelWidth_;
    NSUInteger kernelHeight_;
    NSUInteger inputFeatureChannels_;
    NSUInteger outputFeatureChannels_;
    NSUInteger strideInPixelsX_;
    NSUInteger strideInPixelsY_;
    NSUInteger groups_;
    NSUInteger dilationRateX_;
    NSUInteger dilationRateY_;
    MPSNNNeuronDescriptor *fusedNeuronDescriptor_;
}
@property(nonatomic) NSUInteger kernelWidth;
@property(nonatomic) NSUInteger kernelHeight;
@property(nonatomic) NSUInteger inputFeatureChannels;
@property(nonatomic) NSUInteger outputFeatureChannels;
@property(nonatomic) NSUInteger strideInPixelsX;
@property(nonatomic) NSUInteger strideInPixelsY;
@property(nonatomic) NSUInteger groups;
@property(nonatomic) NSUInteger dilationRateX;
@property(nonatomic) NSUInteger dilationRateY;
@property(nonatomic, retain) MPSNNNeuronDescriptor *fusedNeuronDescriptor;
+ (instancetype)cnnConvolutionDescriptorWithKernelWidth:(NSUInteger)kernelWidth
                                           kernelHeight:(NSUInteger)kernelHeight
                                   inputFeatureChannels:(NSUInteger)inputFeatureChannels
                                  outputFeatureChannels:(NSUInteger)outputFeatureChannels;
@end

@interface MPSCNNDepthWiseConvolutionDescriptor : MPSCNNConvolutionDescriptor
@end

typedef float vector_float2 __attribute__((ext_vector_type(2)));

@protocol MPSCNNConvolutionDataSource <NSCopying, NSObject>
- (MPSDataType)dataType;
- (MPSCNNConvolutionDescriptor *)descriptor;
- (void *)weights;
- (float *)biasTerms;
- (BOOL)load;
- (void)purge;
- (NSString *)label;
@optional
- (vector_float2 *)rangesForUInt8Kernel;
- (MPSCNNWeightsQuantizationType)weightsQuantizationType;
- (MPSDataType)kernelWeightsDataType;
@end

@class MPSCNNConvolution;

@interface MPSCNNConvolutionGradientState : MPSNNGradientState <MPSImageSizeEncodingState> {
@protected
    id<MTLBuffer> gradientForWeights_;
    id<MTLBuffer> gradientForBiases_;
    BOOL isUsed_;
}
@property(nonatomic, readonly) id<MTLBuffer> gradientForWeights;
@property(nonatomic, readonly) id<MTLBuffer> gradientForBiases;
@property(nonatomic, readonly, retain) MPSCNNConvolution *convolution;
@end

typedef NSArray<MPSCNNConvolutionGradientState *> MPSCNNConvolutionGradientStateBatch;

@interface MPSCNNConvolutionWeightsAndBiasesState : MPSState {
@protected
    id<MTLBuffer> weights_;
    id<MTLBuffer> biases_;
    NSUInteger weightsOffset_;
    NSUInteger biasesOffset_;
}
@property(nonatomic, readonly) id<MTLBuffer> weights;
@property(nonatomic, readonly) id<MTLBuffer> biases;
@property(nonatomic, readonly) NSUInteger weightsOffset;
@property(nonatomic, readonly) NSUInteger biasesOffset;
- (instancetype)initWithWeights:(id<MTLBuffer>)weights
                  weightsOffset:(NSUInteger)weightsOffset
                         biases:(id<MTLBuffer>)biases
                   biasesOffset:(NSUInteger)biasesOffset
       cnnConvolutionDescriptor:(MPSCNNConvolutionDescriptor *)descriptor;
@end

@interface MPSCNNConvolution : MPSCNNKernel {
@protected
    id<MPSCNNConvolutionDataSource> dataSource_;
    MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption_;
    MPSCNNConvolutionDescriptor *descriptor_;
    NSData *weights_;
    NSData *bias_;
}
@property(nonatomic, readonly) NSUInteger inputFeatureChannels;
@property(nonatomic, readonly) NSUInteger outputFeatureChannels;
@property(nonatomic, readonly) NSUInteger groups;
@property(nonatomic, readonly) MPSNNNeuronDescriptor *fusedNeuronDescriptor;
@property(nonatomic) MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
- (MPSCNNConvolutionGradientState *)resultStateForSourceImage:(MPSImage *)sourceImage
                                                 sourceStates:(NSArray<MPSState *> *)sourceStates
                                             destinationImage:(MPSImage *)destinationImage;
- (MPSCNNConvolutionGradientStateBatch *)resultStateBatchForSourceImage:(MPSImageBatch *)sourceImage
                                                           sourceStates:
                                                               (NSArray<MPSStateBatch *> *)sourceStates
                                                       destinationImage:(MPSImageBatch *)destinationImage;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
@end

@interface MPSCNNFullyConnected : MPSCNNConvolution
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end

@interface MPSCNNConvolutionTranspose : MPSCNNKernel {
@protected
    MPSCNNConvolution *convolution_;
    NSInteger kernelOffsetX_;
    NSInteger kernelOffsetY_;
}
@property(nonatomic) NSInteger kernelOffsetX;
@property(nonatomic) NSInteger kernelOffsetY;
@property(nonatomic) MPSNNConvolutionAccumulatorPrecisionOption accumulatorPrecisionOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end

typedef NS_OPTIONS(NSUInteger, MPSCNNConvolutionGradientOption) {
    MPSCNNConvolutionGradientOptionGradientWithData = 1,
    MPSCNNConvolutionGradientOptionGradientWithWeightsAndBias = 2,
    MPSCNNConvolutionGradientOptionAll = 3,
};

@interface MPSCNNConvolutionGradient : MPSCNNGradientKernel {
@protected
    MPSCNNConvolution *convolution_;
    id held_;
    BOOL isLoaded_;
    MPSCNNConvolutionGradientOption gradientOption_;
}
@property(nonatomic) MPSCNNConvolutionGradientOption gradientOption;
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
- (void)reloadWeightsAndBiasesFromDataSource;
- (void)reloadWeightsAndBiasesWithCommandBuffer:(id<MTLCommandBuffer>)commandBuffer
                                          state:(MPSCNNConvolutionWeightsAndBiasesState *)state;
@end

@interface MPSCNNFullyConnectedGradient : MPSCNNConvolutionGradient
- (instancetype)initWithDevice:(id<MTLDevice>)device weights:(id<MPSCNNConvolutionDataSource>)weights;
@end
